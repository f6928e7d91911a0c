import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openService } from "#cli/service/open-service.ts";
import type { ServiceSettings } from "#cli/service/service-settings.ts";
import { SERVICE_NAMES } from "#cli/service/service-state.ts";
import { openTokenDesk } from "#cli/service/token-desk.ts";
import type { Household, Started } from "#cli/stay.ts";
import { writeAtomically } from "#lib/atomic-file.ts";
import type { HttpTarget } from "#lib/http-client.ts";
import { LOCAL } from "./daemon-settings.ts";

/** A service that can be asked. */
export type ServiceInUse = Pick<Started, "answers"> & {
  readonly target: HttpTarget;
  readonly token: string;
};

/**
 * A job service inside the daemon, and the token with which this host asks it: made at the first start and kept in the service's
 * folder, readable for us alone. Asked over the service's socket, like any other service: there is no second way.
 */
export async function openEmbeddedService(
  settings: ServiceSettings,
  { host, version }: { host: string; version: string },
  household: Pick<Household, "log" | "scope">,
): Promise<ServiceInUse> {
  const { answers } = await openService(settings, version, household);
  const socketPath = join(settings.folder, SERVICE_NAMES.socket);
  const token = await hostToken(settings.folder, host);
  return { target: { url: LOCAL, socketPath }, token, answers };
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
