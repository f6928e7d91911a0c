import { join } from "node:path";
import { UsageError } from "#cli/exit-code.ts";
import type { Household, Started } from "#cli/stay.ts";
import { writeAtomically } from "#lib/atomic-file.ts";
import {
  type ListenAddress,
  listenAddressText,
  SOCKET_PATH_BYTES_MAX,
} from "#lib/listen-address.ts";
import type { Log } from "#lib/log.ts";
import { makeFolders } from "#lib/make-folders.ts";
import { Seldom } from "#lib/seldom.ts";
import { newSecret } from "#service/api/new-token.ts";
import { ServiceApi } from "#service/api/service-api.ts";
import { ContentFiles } from "#service/files/content-files.ts";
import { FileShelves } from "#service/files/file-shelves.ts";
import { Footprint } from "#service/files/footprint.ts";
import { FreeSpace } from "#service/files/free-space.ts";
import { LogFiles } from "#service/files/log-files.ts";
import { StoreError } from "#service/ports.ts";
import { SqliteStore } from "#service/store/sqlite-store.ts";
import { serviceRemarks } from "./service-remarks.ts";
import type { ServiceSettings } from "./service-settings.ts";
import { CLOCK, SERVICE_NAMES } from "./service-state.ts";
import { keepInOrder, retentionFor } from "./service-upkeep.ts";

const EXPIRE_MS = 1000;
/** What fails each second is said once a minute. */
const REPEAT_MS = 60_000;

/**
 * The whole job service, listening; `scope` closes it, its API first. Its folder is made when it is not there. `answers` has
 * its store's thread prove that it lives. Throws `UsageError` when the folder or an address is not ours to use.
 */
export async function openService(
  settings: ServiceSettings,
  version: string,
  { log, scope }: Pick<Household, "log" | "scope">,
): Promise<Pick<Started, "answers">> {
  const { folder, leaseSeconds } = settings;
  const socket = join(folder, SERVICE_NAMES.socket);
  if (Buffer.byteLength(socket) > SOCKET_PATH_BYTES_MAX)
    throw new UsageError(`${socket} is too long for a Unix socket; name a shorter state folder`);
  const files = join(folder, SERVICE_NAMES.files);
  await makeFolders(folder, 0o750);
  await makeFolders(files, 0o750);
  const path = join(folder, SERVICE_NAMES.database);
  const store = scope.use(
    await SqliteStore.open({ path, clock: CLOCK, leaseSeconds }).catch(explain),
  );
  // Only now: another service on this folder would have its secret taken away.
  const localSecret = newSecret();
  await writeAtomically(join(folder, SERVICE_NAMES.localSecret), `${localSecret}\n`, 0o600);
  const footprint = new Footprint();
  const logs = scope.use(new LogFiles(files, footprint));
  const contents = new ContentFiles(files, footprint);
  const shelves = new FileShelves(files, footprint);
  const retention = await retentionFor(files, settings.retention);
  const upkeep = keepInOrder(folder, { store, contents, shelves, retention }, { scope, log });
  const api = scope.use(
    await ServiceApi.open({
      store,
      logs,
      contents,
      upkeep,
      space: new FreeSpace(files, settings.reserveBytes),
      version,
      localSecret,
      limits: settings.limits,
      remarks: serviceRemarks(log),
    }),
  );
  scope.use(expireEachSecond(store, log));
  const addresses: ListenAddress[] = [{ kind: "unix", path: socket }, ...settings.addresses];
  for (const address of addresses) {
    const taken = await api.listen(address, settings.certificate).catch((error: Error) => {
      throw new UsageError(`cannot listen on ${listenAddressText(address)}: ${error.message}`);
    });
    log.info("listening", { address: listenAddressText(taken) });
  }
  return { answers: () => store.expire().catch(isAnswer) };
}

function expireEachSecond(store: SqliteStore, log: Log): Disposable {
  const failures = new Seldom(REPEAT_MS, 1);
  let isLooking = false;
  const look = async () => {
    const { leases, jobs, hosts } = await store.expire();
    if (leases + jobs + hosts.length === 0) return;
    log.warn("time ran out", { leases, jobs, hostsCount: hosts.length, hosts: hosts.slice(0, 20) });
  };
  const ticking = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    look()
      .catch((error: unknown) => {
        const unsaid = failures.take("expire");
        if (unsaid !== undefined) log.error("leases were not looked at", { error, unsaid });
      })
      .finally(() => {
        isLooking = false;
      });
  }, EXPIRE_MS);
  return { [Symbol.dispose]: () => clearInterval(ticking) };
}

/** A full disk or a long line is an answer; a thread that is gone is none. */
function isAnswer(error: unknown): void {
  if (error instanceof StoreError && error.code !== "lost") return;
  throw error;
}

function explain(error: unknown): never {
  if (error instanceof StoreError) throw new UsageError(error.message);
  throw error;
}
