import type { Collection } from "#host/runner/ports.ts";
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
      await link.use((connection, use) => {
        return collectOnce({ connection, link, glob, intake, refusals, stall }, use);
      }, stall.signal);
    } catch (error) {
      if (signal.aborted || !stall.isStalled) throw error;
      refusals.add("", "the guest stopped sending files; what came until then was kept");
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

async function collectOnce(
  { connection, link, glob, intake, refusals, stall }: Attempt,
  signal: AbortSignal,
): Promise<void> {
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
    refusals.take(await intake.end(true));
    if (exitCode === undefined) throw new ConnectionLost("the connection was cut while files came");
    hear(exec.stderr, glob, refusals);
  } catch (error) {
    refusals.take(await intake.end(false));
    signal.throwIfAborted();
    if (connection.lost.aborted) throw connection.lost.reason;
    if (!(error instanceof BadOffer)) throw error;
    hear(exec.stderr, glob, refusals);
    refusals.add("", `${error.message}; what came until then was kept`);
  }
}

/** Takes what the runner and the guest's tar had to say. */
function hear(stderr: string, { patterns }: Globs, refusals: Refusals): void {
  for (const line of stderr.split("\n").filter((text) => text !== "")) {
    const [, word, index] = /^(nothing|breaks) (\d{1,4})$/.exec(line) ?? [];
    const pattern = patterns[Number(index) - 1];
    if (word === undefined || pattern === undefined) {
      refusals.add(line, "said by the guest's tar");
    } else if (word === "nothing") refusals.add(pattern, "matched nothing");
    else refusals.add(pattern, "matches names with line breaks in them");
  }
}
