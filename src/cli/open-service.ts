import { join } from "node:path";
import { writeAtomically } from "#lib/atomic-file.ts";
import {
  type ListenAddress,
  listenAddressText,
  SOCKET_PATH_BYTES_MAX,
} from "#lib/listen-address.ts";
import { makeFolders } from "#lib/make-folders.ts";
import { newSecret } from "#service/api/new-token.ts";
import { ServiceApi } from "#service/api/service-api.ts";
import { ContentFiles } from "#service/files/content-files.ts";
import { FreeSpace } from "#service/files/free-space.ts";
import { LogFiles } from "#service/files/log-files.ts";
import { StoreError } from "#service/ports.ts";
import { SqliteStore } from "#service/store/sqlite-store.ts";
import { UsageError } from "./exit-code.ts";
import type { ServiceSettings } from "./service-settings.ts";
import { CLOCK, SERVICE_NAMES } from "./service-state.ts";

/** Where a service says what it does. */
export type ServiceEars = {
  onListening(address: string): void;
  onBug(error: unknown): void;
  /** Leases were not looked at; they will be, a second later. */
  onExpireFailed(error: Error): void;
};

const EXPIRE_MS = 1000;

/**
 * The whole job service, listening; `scope` closes it, its API first. Its folder is made when it is not there. Throws
 * `UsageError` when the folder or an address is not ours to use.
 */
export async function openService(
  settings: ServiceSettings,
  { version, ears }: { readonly version: string; readonly ears: ServiceEars },
  scope: AsyncDisposableStack,
): Promise<void> {
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
  const api = scope.use(
    await ServiceApi.open({
      store,
      logs: new LogFiles(files),
      contents: new ContentFiles(files),
      space: new FreeSpace(files, settings.reserveBytes),
      version,
      localSecret,
      limits: settings.limits,
      onBug: ears.onBug,
    }),
  );
  scope.use(expireEachSecond(store, ears));
  await listenAt(api, [{ kind: "unix", path: socket }, ...settings.addresses], settings, ears);
}

function expireEachSecond(store: SqliteStore, { onExpireFailed }: ServiceEars): Disposable {
  let isLooking = false;
  const ticking = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    store
      .expire()
      .catch(onExpireFailed)
      .finally(() => {
        isLooking = false;
      });
  }, EXPIRE_MS);
  return { [Symbol.dispose]: () => clearInterval(ticking) };
}

async function listenAt(
  api: ServiceApi,
  addresses: readonly ListenAddress[],
  { certificate }: ServiceSettings,
  { onListening }: ServiceEars,
): Promise<void> {
  for (const address of addresses) {
    const taken = await api.listen(address, certificate).catch((error: Error) => {
      throw new UsageError(`cannot listen on ${listenAddressText(address)}: ${error.message}`);
    });
    onListening(listenAddressText(taken));
  }
}

function explain(error: unknown): never {
  if (error instanceof StoreError) throw new UsageError(error.message);
  throw error;
}
