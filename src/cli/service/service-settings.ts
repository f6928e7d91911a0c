import { resolve } from "node:path";
import { UsageError } from "#cli/exit-code.ts";
import { readConfig } from "#config/config.ts";
import { readConfigFile } from "#config/config-file.ts";
import { defaultsOf } from "#config/config-value.ts";
import { readSecretFile } from "#config/secret-file.ts";
import {
  checkServiceConfig,
  type ServiceConfig,
  serviceConfigSchema,
} from "#config/service-config.ts";
import { type ListenAddress, parseListenAddress } from "#lib/listen-address.ts";
import { readRegularFile, type UnreadableError } from "#lib/read-regular-file.ts";
import { LIMITS, type Limits } from "#service/api/limits.ts";
import type { Certificate } from "#service/api/listener.ts";
import type { Retention } from "#service/upkeep/retention.ts";
import { serviceFolder } from "./service-state.ts";

/** The options of `testbed service`, as commander gives them. */
export type ServiceOptions = {
  readonly config?: string;
  readonly state?: string;
  readonly listen?: string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly plainHttp?: boolean;
};

/** What a service is started with, beside what its API is told. */
export type ServiceSettings = {
  /** Absolute. */
  readonly folder: string;
  readonly addresses: readonly ListenAddress[];
  readonly certificate: Certificate | undefined;
  readonly leaseSeconds: number;
  readonly reserveBytes: number;
  readonly limits: Partial<Limits>;
  readonly retention: Retention;
  readonly logLevel: ServiceConfig["log"]["level"];
};

const MIB = 2 ** 20;
const CHAIN_BYTES_MAX = MIB;

/** The option that sets a key of the configuration file, for messages. */
const OPTION_OF = { listen: "--listen", tls: "--tls-cert, --tls-key" } as const;

/**
 * The configuration file, when one is named, with what the command line changes in it, and what it leads to: certificate
 * and key are read. The service's folder is one below `stateFolder` unless they say otherwise. Throws `ConfigError` for what is wrong in the file and `UsageError` for what is wrong in the options.
 */
export async function readServiceSettings(
  options: ServiceOptions,
  stateFolder = readConfig().stateFolder,
): Promise<ServiceSettings> {
  const changed = changedBy(options);
  const merged = (config: ServiceConfig) => ({
    ...config,
    ...changed,
    tls: { ...config.tls, ...changed.tls },
  });
  const isOption = (path: readonly string[]) => (path[0] ?? "") in changed;
  const ofFile = (config: ServiceConfig) =>
    checkServiceConfig(merged(config)).filter(({ path }) => !isOption(path));
  const config = merged(
    options.config === undefined
      ? defaultsOf(serviceConfigSchema)
      : await readConfigFile(options.config, serviceConfigSchema, ofFile),
  );
  const [wrong] = checkServiceConfig(config);
  if (wrong !== undefined)
    throw new UsageError(`${OPTION_OF[wrong.path[0] as keyof typeof OPTION_OF]}: ${wrong.says}`);
  return settingsOf(config, stateFolder);
}

/** What a checked configuration means to the service. Reads certificate and key; throws `ConfigError`. */
async function settingsOf(config: ServiceConfig, stateFolder: string): Promise<ServiceSettings> {
  const { limits } = config;
  return {
    folder: resolve(serviceFolder(config.state, stateFolder)),
    addresses: config.listen.flatMap((text) => parseListenAddress(text) ?? []),
    certificate: await readCertificate(config.tls),
    leaseSeconds: config.lease,
    reserveBytes: config.reserve * MIB,
    limits: {
      contentBytes: limits.content * MIB,
      logBytes: limits.log * MIB,
      connectionsMax: limits.connections,
      waitingMax: limits.waiting,
      attemptLogs: { ...LIMITS.attemptLogs, bytesMax: limits.attemptLogs * MIB },
      attemptArtifacts: { ...LIMITS.attemptArtifacts, bytesMax: limits.attemptArtifacts * MIB },
      inputBytes: limits.inputs * MIB,
      queuedMax: limits.queued,
    },
    retention: retentionOf(config.retention),
    logLevel: config.log.level,
  };
}

function changedBy({ state, listen, tlsCert, tlsKey, plainHttp }: ServiceOptions) {
  const tls = {
    ...(tlsCert !== undefined && { certificate: resolve(tlsCert) }),
    ...(tlsKey !== undefined && {
      key: tlsKey.startsWith("credential:") ? tlsKey : resolve(tlsKey),
    }),
  };
  return {
    ...(state !== undefined && { state: resolve(state) }),
    ...(listen !== undefined && { listen }),
    ...(Object.keys(tls).length > 0 && { tls }),
    ...(plainHttp !== undefined && { plainHttp }),
  };
}

const DAY_SECONDS = 86_400;

function retentionOf({ files, size, ...ages }: ServiceConfig["retention"]): Retention {
  const days = (seconds: number) => seconds / DAY_SECONDS;
  return {
    jobDays: days(ages.jobs),
    fileDays: {
      passed: days(files.passed),
      failed: days(files.failed),
      "timed-out": days(files.timedOut),
      cancelled: days(files.cancelled),
      broken: days(files.broken),
    },
    filesBytesMax: size === undefined ? undefined : size * MIB,
    inputDays: days(ages.inputs),
    uploadDays: days(ages.uploads),
    hostDays: days(ages.hosts),
    tokenDays: days(ages.tokens),
  };
}

async function readCertificate({
  certificate,
  key,
}: ServiceConfig["tls"]): Promise<Certificate | undefined> {
  if (certificate === undefined || key === undefined) return undefined;
  const chain = await readRegularFile(certificate, CHAIN_BYTES_MAX).catch(
    ({ message }: UnreadableError) => {
      throw new UsageError(`tls.certificate: ${certificate}: ${message}`);
    },
  );
  if (chain.isTooLong) throw new UsageError(`tls.certificate: ${certificate}: longer than 1 MiB`);
  return { cert: chain.bytes.toString("utf8"), key: await readSecretFile("tls.key", key) };
}
