import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { FileLock } from "#lib/file-lock.ts";
import type { Log } from "#lib/log.ts";
import { Seldom } from "#lib/seldom.ts";
import type { Contents } from "#service/file-ports.ts";
import type { FileShelves } from "#service/files/file-shelves.ts";
import type { Store } from "#service/ports.ts";
import type { Retention } from "#service/upkeep/retention.ts";
import { Upkeep } from "#service/upkeep/upkeep.ts";
import { CLOCK, SERVICE_NAMES } from "./service-state.ts";

/** What logs, artifacts and inputs may take of their file system, unless the caller says otherwise. */
const DISK_SHARE = 0.8;

const TICK_MS = 1000;

/** What fails each second is said once a minute. */
const REPEAT_MS = 60_000;

/** What the caretaker of a service keeps in order. */
type Kept = { readonly store: Store; readonly contents: Contents; readonly shelves: FileShelves };

/** The retention with its limit for files on the file system of `folder`, when it has none of its own. */
export async function retentionFor(folder: string, asked: Retention): Promise<Retention> {
  if (asked.filesBytesMax !== undefined) return asked;
  const { blocks, bsize } = await statfs(folder);
  return { ...asked, filesBytesMax: Math.floor(blocks * bsize * DISK_SHARE) };
}

/** Keeps a service's folder in order until `scope` is disposed. */
export function keepInOrder(
  folder: string,
  kept: Kept & { readonly retention: Retention },
  { scope, log }: { scope: AsyncDisposableStack; log: Log },
): Upkeep {
  const upkeep = new Upkeep({
    ...kept,
    clock: CLOCK,
    mayRemove: () => FileLock.tryTake(join(folder, SERVICE_NAMES.upkeepLock)),
  });
  const failures = new Seldom(REPEAT_MS, 1);
  let ticking: Promise<void> | undefined;
  const timer = setInterval(() => {
    ticking ??= upkeep
      .tick()
      .catch((error: unknown) => {
        const unsaid = failures.take("tidy");
        if (unsaid !== undefined) log.error("nothing was tidied", { error, unsaid });
      })
      .finally(() => {
        ticking = undefined;
      });
  }, TICK_MS);
  scope.defer(async () => {
    clearInterval(timer);
    await ticking;
  });
  return upkeep;
}
