import type { Collection } from "#host/runner/guest-port.ts";
import { Fault } from "#job/fault.ts";
import { type Globs, sortGlobs } from "./artifact-globs.ts";
import { ArtifactIntake, BadOffer } from "./artifact-intake.ts";
import type { SshConnection } from "./connection.ts";
import type { FileThread } from "./file-thread.ts";
import type { GuestLink } from "./guest-link.ts";
import { Refusals } from "./refusals.ts";
import { runnerCommand } from "./runner.ts";
import { ConnectionLost } from "./ssh-errors.ts";
import { Stall } from "./stall.ts";

/** An archive that breaks off is asked for again, without the file in which it did. */
const OFFERS_MAX = 3;
/** Stands for what has no name, in refusals. */
const REST = "(the rest)";

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
  const { globs, refused } = sortGlobs(order.patterns);
  const { caps } = link.options;
  const refusals = new Refusals(caps.refusals);
  for (const { name, why } of refused) refusals.add(name, why);
  await using intake = await ArtifactIntake.open(order.folder, caps, order.thread);
  for (const glob of globs) {
    using stall = new Stall(link.options.stallSeconds * 1000, signal, () => {
      return new Fault("guest-unreachable", "the guest stopped sending files");
    });
    try {
      let isCutShort = true;
      for (let offers = 0; isCutShort && offers < OFFERS_MAX; offers += 1) {
        isCutShort = await link.use((connection, use) => {
          return collectOnce({ connection, link, glob, intake, refusals, stall }, use);
        }, stall.signal);
      }
      if (isCutShort) refusals.add(REST, "the guest's archive broke off each time");
    } catch (error) {
      if (signal.aborted || !stall.isStalled) throw error;
      refusals.add(REST, "the guest stopped sending files; what came until then was kept");
    }
  }
  return { artifacts: await intake.settle(), refused: refusals.list() };
}

type Attempt = {
  readonly connection: SshConnection;
  readonly link: GuestLink;
  readonly glob: Globs;
  readonly intake: ArtifactIntake;
  readonly refusals: Refusals;
  readonly stall: Stall;
};

/** Takes one offer. True when it broke off in a file, which was refused then, so that the others may still come. */
async function collectOnce(
  { connection, link, glob, intake, refusals, stall }: Attempt,
  signal: AbortSignal,
): Promise<boolean> {
  using exec = await connection.exec(runnerCommand(link.options, "collect", glob.base), signal);
  const input = Buffer.from(`${glob.runnerPatterns.join("\n")}\n`);
  const sent = exec.write(input).then(() => exec.endInput());
  sent.catch(() => undefined);
  await intake.begin();
  try {
    for (let piece = await exec.read(); piece !== undefined; piece = await exec.read()) {
      stall.moved();
      await intake.write(piece);
    }
    const { exitCode } = await exec.ended;
    signal.throwIfAborted();
    if (exitCode === undefined) throw new ConnectionLost("the connection was cut while files came");
    const { refused, isCutShort } = await intake.end(true);
    refusals.take(refused);
    if (!isCutShort) hear(exec.stderr, glob, refusals);
    return isCutShort;
  } catch (error) {
    refusals.take((await intake.end(false)).refused);
    signal.throwIfAborted();
    if (connection.lost.aborted) throw connection.lost.reason;
    if (!(error instanceof BadOffer)) throw error;
    hear(exec.stderr, glob, refusals);
    refusals.add(REST, `${error.message}; what came until then was kept`);
    return false;
  }
}

/** Takes what the runner and the guest's tar had to say. */
function hear(stderr: string, { patterns }: Globs, refusals: Refusals): void {
  for (const line of new Set(stderr.split("\n"))) {
    if (line === "") continue;
    const [, word, index] = /^(nothing|breaks) (\d{1,4})$/.exec(line) ?? [];
    const pattern = patterns[Number(index) - 1];
    if (word === undefined || pattern === undefined) {
      refusals.add(line, "said by the guest's tar");
    } else if (word === "nothing") refusals.add(pattern, "matched nothing");
    else refusals.add(pattern, "matches names with line breaks in them");
  }
}
