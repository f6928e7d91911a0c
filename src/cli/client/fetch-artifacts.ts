import { join } from "node:path";
import { UsageError } from "#cli/exit-code.ts";
import { Fault } from "#job/fault.ts";
import { makeFolders } from "#lib/make-folders.ts";
import { printable } from "#lib/printable.ts";
import type { WireArtifact } from "#protocol/verdict.ts";
import { copyTo, lookAt, makeParents, placeOf, putInPlace } from "./artifact-place.ts";
import { download } from "./download.ts";
import type { Follower } from "./follow.ts";

/** Many artifacts are small: the way there and back is what they cost. */
const DOWNLOADS_MAX = 4;
const NAMED_MAX = 5;

/** What is to be fetched, and where it goes. */
export type FetchOrder = {
  readonly job: string;
  readonly artifacts: readonly WireArtifact[];
  readonly folder: string;
  /** Overwrite what is in the way. */
  readonly force: boolean;
};

/** An artifact that is in the folder now: fetched, or there before. */
export type Fetched = WireArtifact & { readonly state: "fetched" | "there" };

type Wanted = { readonly artifact: WireArtifact; readonly place: string };

/**
 * Brings artifacts into a folder, each under its own path, whole and with its digest or not at all. What is there already
 * is not fetched again. Nothing is begun when something else is in the way (`UsageError`). `onBytes` counts what came.
 */
export async function fetchArtifacts(
  follower: Follower,
  order: FetchOrder,
  onBytes: (bytes: number) => void,
): Promise<readonly Fetched[]> {
  return await sayingWhere(order.folder, async () => {
    await makeFolders(order.folder);
    const { wanted, there } = await look(order);
    const contents = Map.groupBy(wanted, ({ artifact }) => artifact.sha256);
    const waiting = [...contents.values()];
    const work = async () => {
      for (let same = waiting.shift(); same !== undefined; same = waiting.shift())
        await fetchContent(follower, order, same, onBytes);
    };
    const workers = Array.from({ length: DOWNLOADS_MAX }, work);
    const [failed] = (await Promise.allSettled(workers)).filter(
      (result) => result.status === "rejected",
    );
    if (failed !== undefined) throw failed.reason;
    return order.artifacts.map((artifact) => ({
      ...artifact,
      state: there.has(artifact.path) ? "there" : "fetched",
    }));
  });
}

async function look({ artifacts, folder, force }: FetchOrder) {
  const there = new Set<string>();
  const inTheWay: string[] = [];
  const wanted: Wanted[] = [];
  for (const artifact of artifacts) {
    const place = placeOf(folder, artifact);
    const found = await lookAt(folder, artifact);
    if (found === "the same") there.add(artifact.path);
    else wanted.push({ artifact, place });
    if (found === "another") inTheWay.push(printable(place, 1000));
  }
  if (inTheWay.length > 0 && !force) {
    const named = inTheWay.slice(0, NAMED_MAX).join(", ");
    const more = inTheWay.length > NAMED_MAX ? ` and ${inTheWay.length - NAMED_MAX} more` : "";
    throw new UsageError(
      `not overwritten: ${named}${more}; --force overwrites, or name another folder`,
    );
  }
  return { wanted, there };
}

/** One content, to all places that want it. */
async function fetchContent(
  follower: Follower,
  { job, folder, force }: FetchOrder,
  [first, ...others]: readonly Wanted[],
  onBytes: (bytes: number) => void,
): Promise<void> {
  if (first === undefined) return;
  const { artifact, place } = first;
  const part = join(folder, `.testbed-part-${artifact.sha256}`);
  await download(follower, { job, artifact, part, onBytes });
  for (const other of others) {
    await makeParents(folder, other.artifact);
    await copyTo(part, other.place, force);
  }
  await makeParents(folder, artifact);
  await putInPlace(part, place, force);
}

/** What the file system says, as people's mistake or as the host's trouble. */
async function sayingWhere<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined || error instanceof Fault) throw error;
    const where = printable(folder, 1000);
    if (code === "ENOSPC" || code === "EDQUOT")
      throw new Fault("host-disk-full", `no room for the artifacts in ${where}: ${message}`, {
        cause: error,
      });
    throw new UsageError(`the artifacts cannot be put into ${where}: ${message}`, { cause: error });
  }
}
