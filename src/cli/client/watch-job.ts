import { setTimeout as delay } from "node:timers/promises";
import type { Screen } from "#host/narration/screen.ts";
import type { TerminalOutput } from "#lib/terminal-output.ts";
import type { JobDetail } from "#protocol/job-view.ts";
import { type Follower, followEvents, followLog } from "./follow.ts";
import type { JobTeller } from "./job-teller.ts";
import { LogRelay } from "./log-relay.ts";

/** A job that is watched, and where it is shown. */
export type Watch = {
  readonly follower: Follower;
  readonly job: string;
  readonly screen: Screen;
  readonly output: TerminalOutput;
  readonly teller: JobTeller;
};

/** A job that is taken at once need not say why it waits. */
const WAITING_FIRST_MS = 1_000;
const WAITING_AGAIN_MS = 10_000;

/** What the reader of the screen may be behind; the service waits until then. */
const BEHIND_BYTES_MAX = 512 * 1024;
const BEHIND_MS = 1_000;

/**
 * Shows a job's history and the log of each attempt as they come, until it is settled; then tells all that is known of
 * it. An attempt's end is told after its log. Throws the signal's reason, or what the service refuses.
 */
export async function watchJob(watch: Watch): Promise<JobDetail> {
  const stop = new AbortController();
  const signal = AbortSignal.any([watch.follower.signal, stop.signal]);
  const follower = { ...watch.follower, signal };
  const relay = new LogRelay(watch.screen);
  let log: Promise<void> = Promise.resolve();
  let waiting = new AbortController();
  try {
    for await (const event of followEvents(follower, watch.job)) {
      if (event.kind === "ended" || event.kind === "fenced" || event.kind === "settled") await log;
      watch.teller.event(event);
      waiting.abort();
      if (event.kind === "submitted" || event.kind === "queued") {
        waiting = new AbortController();
        // Of no harm when it fails: trouble with the service is told by who follows the events.
        tellWaiting(watch, AbortSignal.any([signal, waiting.signal])).catch(() => undefined);
      } else if (event.kind === "leased" && event.attempt !== undefined) {
        log = showLog(watch, follower, relay, event.attempt);
        log.catch((error: unknown) => stop.abort(error));
      }
    }
    return await show(watch);
  } finally {
    waiting.abort();
    stop.abort(new Error("the watch is over"));
    await log.catch(() => undefined);
  }
}

async function show({ follower: { client, patience, signal }, job }: Watch): Promise<JobDetail> {
  const found = await patience.until(() => client.json("showJob", { path: { job }, signal }));
  if (found === undefined) throw new Error(`the service says nothing of job ${job}`);
  return found;
}

async function showLog(
  { job, output }: Watch,
  follower: Follower,
  relay: LogRelay,
  attempt: number,
): Promise<void> {
  for await (const piece of followLog(follower, { job, attempt, log: "output" })) {
    relay.push(piece);
    while (output.queuedBytes > BEHIND_BYTES_MAX) await output.isStuckAfter(BEHIND_MS);
  }
  relay.end();
}

async function tellWaiting(watch: Watch, signal: AbortSignal): Promise<void> {
  const { client, patience } = watch.follower;
  for (let pauseMs = WAITING_FIRST_MS; ; pauseMs = WAITING_AGAIN_MS) {
    await delay(pauseMs, undefined, { signal });
    const found = await patience.until(() =>
      client.json("showJob", { path: { job: watch.job }, signal }),
    );
    if (signal.aborted || found?.waiting === undefined) return;
    watch.teller.waits(found.waiting);
  }
}
