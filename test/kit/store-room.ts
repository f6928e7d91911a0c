import { join } from "node:path";
import type { Store } from "#service/ports.ts";
import { SqliteStore } from "#service/store/sqlite-store.ts";
import { MemoryStore } from "#test/fakes/memory-store.ts";
import { FakeClock } from "./fake-clock.ts";
import { asking, order, report } from "./lease-messages.ts";
import { scratchFolder } from "./scratch.ts";

/** Length of a lease in tests. */
const LEASE_SECONDS = 100;

/** A store under test, on a clock that the test moves. Leases are `leaseSeconds` long. */
export type StoreRoom = AsyncDisposable & {
  readonly store: Store;
  readonly clock: FakeClock;
  readonly leaseSeconds: number;
  /** Closes the store and opens it again, as a restart of the service does. */
  reopen(): Promise<Store>;
};

/** A SQLite store in a folder of its own. */
export async function sqliteStoreRoom(): Promise<StoreRoom> {
  const folder = await scratchFolder();
  const clock = new FakeClock();
  const path = join(folder.path, "jobs.sqlite");
  const open = () => SqliteStore.open({ path, clock, leaseSeconds: LEASE_SECONDS });
  return roomOf(await open(), open, clock, async () => await folder[Symbol.asyncDispose]());
}

/** A store in memory. */
export async function memoryStoreRoom(): Promise<StoreRoom> {
  const clock = new FakeClock();
  const memory = new MemoryStore(clock, LEASE_SECONDS);
  return roomOf(
    memory.open(),
    async () => memory.open(),
    clock,
    async () => undefined,
  );
}

function roomOf(
  first: Store,
  open: () => Promise<Store>,
  clock: FakeClock,
  clean: () => Promise<void>,
): StoreRoom {
  let store = first;
  return {
    store,
    clock,
    leaseSeconds: LEASE_SECONDS,
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      store = await open();
      return store;
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await clean();
    },
  };
}

export const PASSED = report({ kind: "passed" });

/** Submits a job of ada's and returns its id. */
export async function submitted(
  store: Store,
  changes: Parameters<typeof order>[0] = {},
): Promise<string> {
  const answer = await store.submit(order(changes));
  if (answer.kind !== "queued") throw new Error(`not queued: ${answer.kind}`);
  return answer.id;
}

/** A lease for a host that is sure to get one. */
export async function granted(
  store: Store,
  host: string,
  changes: Parameters<typeof asking>[1] = {},
) {
  const grant = await store.take(asking(host, changes));
  if (grant === undefined) throw new Error(`${host} got nothing`);
  return grant;
}

/** What a job's history is made of. */
export async function kindsOf(store: Store, id: string): Promise<readonly string[]> {
  return ((await store.events(id, 0)) ?? []).map(({ kind }) => kind);
}
