import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeAtomically } from "#lib/atomic-file.ts";
import { openService, type ServiceEars } from "./open-service.ts";
import type { ServiceSettings } from "./service-settings.ts";
import { SERVICE_NAMES } from "./service-state.ts";
import { openTokenDesk } from "./token-desk.ts";

/**
 * A job service inside the daemon, and the token with which this host asks it: made at the first start and kept in the service's
 * folder, readable for us alone. Asked over the service's socket, like any other service: there is no second way.
 */
export async function openEmbeddedService(
  settings: ServiceSettings,
  { host, version, ears }: { host: string; version: string; ears: ServiceEars },
  scope: AsyncDisposableStack,
): Promise<{ readonly socketPath: string; readonly token: string }> {
  await openService(settings, { version, ears }, scope);
  const socketPath = join(settings.folder, SERVICE_NAMES.socket);
  return { socketPath, token: await hostToken(settings.folder, host) };
}

async function hostToken(folder: string, host: string): Promise<string> {
  const path = join(folder, SERVICE_NAMES.hostToken);
  await using desk = await openTokenDesk(folder);
  const known = await readFile(path, "utf8").catch(() => "");
  const [id, secret] = known.trim().split(" ");
  const isGood = (await desk.list()).some(
    (token) => token.id === id && token.name === host && token.revokedAt === undefined,
  );
  if (isGood && secret !== undefined) return secret;
  const made = await desk.create(host, "host");
  await writeAtomically(path, `${made.id} ${made.secret}\n`, 0o600);
  return made.secret;
}
