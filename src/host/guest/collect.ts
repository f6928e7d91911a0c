import type { Collection } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { type Globs, sortGlobs } from "./artifact-globs.ts";
import { ArtifactStore } from "./artifact-store.ts";
import type { SshConnection } from "./connection.ts";
import type { FileThread } from "./file-thread.ts";
import type { GuestLink } from "./guest-link.ts";
import { Harvest, OfferTooLarge } from "./harvest.ts";
import { ArchiveError, ArchiveReader } from "./read-archive.ts";
import { Refusals } from "./refusals.ts";
import { runnerCommand } from "./runner.ts";
import { ConnectionLost } from "./ssh-errors.ts";
import { Stall } from "./stall.ts";

export type CollectOrder = {
  readonly patterns: readonly string[];
  readonly folder: string;
  readonly thread: FileThread;
};

/**
 * Brings files home: one archive over one channel for the absolute patterns, and one for those relative to home. See the
 * port and `artifact-globs.ts`. What the guest does wrong becomes a refusal, never an error.
 */
export async function collectFiles(
  link: GuestLink,
  order: CollectOrder,
  signal: AbortSignal,
): Promise<Collection> {
  const store = await ArtifactStore.open(order.folder, order.thread);
  const { globs, refused } = sortGlobs(order.patterns);
  const { caps } = link.options;
  const refusals = new Refusals(caps.refusals);
  for (const { name, why } of refused) refusals.add(name, why);
  const harvest = new Harvest(store, caps, refusals);
  for (const glob of globs) {
    using stall = new Stall(link.options.stallSeconds * 1000, signal, () => {
      return new Fault("guest-unreachable", "the guest stopped sending files");
    });
    try {
      await link.use((connection, use) => {
        return collectOnce({ connection, link, glob, harvest, refusals, stall }, use);
      }, stall.signal);
    } catch (error) {
      if (signal.aborted || !stall.isStalled) throw error;
      refusals.add("", "the guest stopped sending files; what came until then was kept");
    }
  }
  return { artifacts: harvest.artifacts(), refused: refusals.list() };
}

type Attempt = {
  readonly connection: SshConnection;
  readonly link: GuestLink;
  readonly glob: Globs;
  readonly harvest: Harvest;
  readonly refusals: Refusals;
  readonly stall: Stall;
};

async function collectOnce(
  { connection, link, glob, harvest, refusals, stall }: Attempt,
  signal: AbortSignal,
): Promise<void> {
  using exec = await connection.exec(runnerCommand(link.options, "collect", glob.base), signal);
  const input = Buffer.from(`${glob.runnerPatterns.join("\n")}\n`);
  const sent = exec.write(input).then(() => exec.endInput());
  sent.catch(() => undefined);
  harvest.begin();
  const reader = new ArchiveReader((entry) => harvest.take(entry));
  let bytes = 0;
  try {
    for (let piece = await exec.read(); piece !== undefined; piece = await exec.read()) {
      stall.moved();
      bytes += piece.length;
      await reader.write(piece);
    }
    const { exitCode } = await exec.ended;
    signal.throwIfAborted();
    // The guest's word for "nothing matched" is no archive at all.
    if (bytes > 0) await reader.end();
    if (exitCode === undefined) throw new ConnectionLost("the connection was cut while files came");
    harvest.hear(exec.stderr, glob);
  } catch (error) {
    signal.throwIfAborted();
    if (connection.lost.aborted) throw connection.lost.reason;
    if (!(error instanceof ArchiveError || error instanceof OfferTooLarge)) throw error;
    harvest.hear(exec.stderr, glob);
    refusals.add("", `${error.message}; what came until then was kept`);
  } finally {
    reader.destroy();
    await harvest.stored();
  }
}
