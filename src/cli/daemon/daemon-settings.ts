import { hostname } from "node:os";
import { readServiceSettings, type ServiceSettings } from "#cli/service/service-settings.ts";
import { readCertificates } from "#config/certificates.ts";
import { type Config, readConfig } from "#config/config.ts";
import { ConfigError } from "#config/config-error.ts";
import { readConfigFile } from "#config/config-file.ts";
import { defaultsOf } from "#config/config-value.ts";
import { type DaemonConfig, daemonConfigSchema, EMBEDDED } from "#config/daemon-config.ts";
import { readTokenFile } from "#config/secret-file.ts";
import type { HttpTarget } from "#lib/http-client.ts";
import { daemonFindings } from "./daemon-findings.ts";

/** Which service, and as whom. */
export type ServiceToUse =
  | { readonly kind: "embedded"; readonly settings: ServiceSettings }
  | { readonly kind: "remote"; readonly target: HttpTarget; readonly token: string };

/** What a daemon is started with. */
export type DaemonSettings = {
  readonly host: string;
  /** For the rooms of the host: the environment's, with what the file changes. */
  readonly house: Config;
  readonly service: ServiceToUse;
  readonly config: DaemonConfig;
};

/** The configuration file (none: all defaults) and what it leads to: token and certificates are read. Throws `ConfigError`. */
export async function readDaemonSettings(file: string | undefined): Promise<DaemonSettings> {
  const config =
    file === undefined
      ? defaultsOf(daemonConfigSchema)
      : await readConfigFile(file, daemonConfigSchema, daemonFindings);
  const environment = readConfig();
  const house = Object.freeze({
    ...environment,
    stateFolder: config.state ?? environment.stateFolder,
    libvirtUri: config.machines.libvirt ?? environment.libvirtUri,
    acceleration: config.machines.acceleration,
    catalogueFolders: [...config.images.folders, ...environment.catalogueFolders],
    imagesFile:
      config.images.file === undefined
        ? environment.imagesFile
        : { path: config.images.file, isNamed: true },
    logLimitBytes: config.machines.logLimit * 2 ** 20,
  });
  return { host: nameOf(config), house, service: await serviceOf(config, house), config };
}

function nameOf({ host }: DaemonConfig): string {
  const name = host ?? hostname().toLowerCase();
  if (/^[a-z0-9][a-z0-9.-]{0,62}$/.test(name)) return name;
  throw new ConfigError(
    "this machine's host name is no name for a testbed host; give one in the configuration: host: lab-1",
  );
}

async function serviceOf(config: DaemonConfig, { stateFolder }: Config): Promise<ServiceToUse> {
  const { service, token, ca, serviceConfig } = config;
  if (service === EMBEDDED) {
    const file = serviceConfig === undefined ? {} : { config: serviceConfig };
    return { kind: "embedded", settings: await readServiceSettings(file, stateFolder) };
  }
  const secret = await readTokenFile("token", token ?? "");
  if (service.startsWith("unix:")) {
    const socketPath = service.slice("unix:".length);
    return { kind: "remote", target: { url: LOCAL, socketPath }, token: secret };
  }
  const url = new URL(service);
  if (ca === undefined) return { kind: "remote", target: { url }, token: secret };
  return { kind: "remote", target: { url, ca: await readCertificates("ca", ca) }, token: secret };
}

/** What is asked for over a Unix socket. */
export const LOCAL = new URL("http://localhost");
