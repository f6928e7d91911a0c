import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "#cli/exit-code.ts";
import { SERVICE_NAMES, serviceFolder } from "#cli/service/service-state.ts";
import { readConfig } from "#config/config.ts";
import { type AccessWishes, readServiceAccess, type ServiceAccess } from "#config/contexts.ts";
import { ServiceClient } from "#protocol/service-client.ts";
import { explained } from "./service-error.ts";

/** A job service that is asked. */
export type Service = { readonly client: ServiceClient; readonly access: ServiceAccess };

/** Asks the service that is meant. Throws `ServiceError`, `ConfigError`, or `UsageError` when there is none. */
export async function withService<T>(
  wishes: AccessWishes,
  work: (service: Service) => Promise<T>,
): Promise<T> {
  const access = await findService(wishes);
  if (access === undefined)
    throw new UsageError(
      "no job service is named: give --service, set TESTBED_SERVICE, or write a context into ~/.config/testbed/config.yaml (config/client.yaml is an example)",
    );
  const { target } = access;
  if (target.url.protocol === "http:" && target.socketPath === undefined && !isLoopback(target.url))
    process.stderr.write(`the token goes to ${target.url.origin} without TLS\n`);
  using client = new ServiceClient(target, access.token);
  try {
    return await work({ client, access });
  } catch (error) {
    throw explained(error, access);
  }
}

/** The service that is meant; undefined when none is named and none runs here. */
async function findService(wishes: AccessWishes): Promise<ServiceAccess | undefined> {
  const { stateFolder } = readConfig();
  return (
    (await readServiceAccess(wishes)) ?? (await serviceHere(serviceFolder(undefined, stateFolder)))
  );
}

/** The service whose state is in `folder`, for whoever may read its secret: its user and root. */
export async function serviceHere(folder: string): Promise<ServiceAccess | undefined> {
  const path = join(folder, SERVICE_NAMES.localSecret);
  const secret = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw new UsageError(`the service of this machine is not yours to ask: ${error.message}`);
  });
  if (secret === undefined) return undefined;
  const socketPath = join(folder, SERVICE_NAMES.socket);
  return {
    context: undefined,
    service: `unix:${socketPath}`,
    target: { url: new URL("http://localhost"), socketPath },
    token: secret.trim(),
    tokenFrom: path,
  };
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}
