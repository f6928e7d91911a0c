import { EXIT_CODES, UsageError } from "#cli/exit-code.ts";
import { OutputError, printAnswer } from "#cli/print-answer.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import type { Config } from "#config/config.ts";
import type { AccessWishes } from "#config/contexts.ts";
import { PlainScreen } from "#host/narration/plain-screen.ts";
import type { Screen } from "#host/narration/screen.ts";
import { Ended } from "#job/verdict.ts";
import { printable } from "#lib/printable.ts";
import { TerminalOutput } from "#lib/terminal-output.ts";
import type { JobDetail } from "#protocol/job-view.ts";
import { Refused } from "#protocol/refused.ts";
import { type Follower, followEvents, followLog, type LogOfAttempt } from "./follow.ts";
import { JsonSink, LogSink, type Sink } from "./log-sink.ts";
import { asLost, PATIENCE_WORDS, Patience } from "./patience.ts";
import { withService } from "./service.ts";

/** What somebody asks for who types `testbed logs`. */
export type LogsOrder = {
  readonly job: string;
  readonly log: string;
  /** Undefined: the last one; when following, all. */
  readonly attempt: number | undefined;
  readonly follow: boolean;
  /** One JSON object; not when following. */
  readonly json: boolean;
};

type Showing = {
  readonly order: LogsOrder;
  readonly follower: Follower;
  readonly sink: Sink;
  /** For our own words, on standard error. */
  readonly screen: Screen;
};

/** One `testbed logs`. Returns the exit status. A reader who leaves early is no error. */
export async function showLogs(
  order: LogsOrder,
  wishes: AccessWishes,
  config: Config,
): Promise<number> {
  const hasColor = config.hasColor && process.stderr.isTTY;
  const screen = new PlainScreen({ output: new TerminalOutput(), guestFd: 2, hasColor });
  const stop = new AbortController();
  using signals = cancelOnSignals(
    () => stop.abort(signals.signal.reason),
    () => process.exit(EXIT_CODES.cancelled),
  );
  const of = { job: order.job, log: order.log, attempt: 0 };
  const sink = order.json
    ? new JsonSink((log) => printAnswer(`${JSON.stringify({ ...of, ...log }, null, 2)}\n`))
    : new LogSink((error) => stop.abort(error));
  const patience = new Patience(
    {
      gone: (why) => screen.line(PATIENCE_WORDS.gone(why), "note"),
      back: (seconds) => screen.line(PATIENCE_WORDS.back(seconds), "good"),
    },
    stop.signal,
  );
  try {
    await withService(wishes, async ({ client }) => {
      const follower = { client, patience, signal: stop.signal };
      of.attempt = await show({ order, follower, sink, screen });
    });
    await sink.end();
    return EXIT_CODES.passed;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    const reason = stop.signal.reason as NodeJS.ErrnoException;
    if (reason instanceof Ended) return EXIT_CODES.cancelled;
    if (reason.code === "EPIPE") return EXIT_CODES.passed;
    throw new OutputError(`standard output: ${reason.message}`, { cause: reason });
  } finally {
    await screen.close();
  }
}

/** Returns the number of the last attempt that was shown. */
async function show(showing: Showing): Promise<number> {
  const { order, follower, screen } = showing;
  const { client, patience, signal } = follower;
  const path = { job: order.job };
  const job = await patience.until(() => client.json("showJob", { path, signal }));
  if (job === undefined) throw new Error(`the service says nothing of job ${order.job}`);
  if (!order.follow || job.state === "settled") {
    const attempt = attemptOf(order, job);
    if (!order.follow) {
      await print(showing, { ...order, attempt });
      return attempt;
    }
  }
  if (job.waiting !== undefined) screen.line(`waits: ${printable(job.waiting.says, 1000)}`);
  let last = 0;
  for await (const attempt of attemptsOf(order, follower)) {
    if (attempt > 1 && order.attempt === undefined) screen.line(`attempt ${attempt}`);
    for await (const piece of followLog(follower, { ...order, attempt }))
      await showing.sink.write(piece);
    last = attempt;
  }
  return last;
}

function attemptOf({ attempt }: LogsOrder, { id, attempts, state }: JobDetail): number {
  if (attempts === 0)
    throw new UsageError(
      state === "settled"
        ? `job ${id} ended before it began: there is no log`
        : `job ${id} has not begun; 'testbed logs -f ${id}' waits for it`,
    );
  if (attempt !== undefined && attempt > attempts)
    throw new UsageError(`job ${id} has ${attempts} attempts so far`);
  return attempt ?? attempts;
}

/** The one that was asked for; else each when it begins, until the job is settled. */
async function* attemptsOf(
  { job, attempt: wanted }: LogsOrder,
  follower: Follower,
): AsyncGenerator<number> {
  if (wanted !== undefined) return yield wanted;
  for (let last = 0; ; ) {
    const next = await attemptAfter(last, job, follower);
    if (next === undefined) return;
    yield next;
    last = next;
  }
}

async function attemptAfter(
  last: number,
  job: string,
  follower: Follower,
): Promise<number | undefined> {
  for await (const { kind, attempt = 0 } of followEvents(follower, job))
    if (kind === "leased" && attempt > last) return attempt;
  return undefined;
}

/** All that there is of a log when it is asked for, whatever breaks in between. */
async function print({ follower, sink }: Showing, log: LogOfAttempt): Promise<void> {
  const { client, patience, signal } = follower;
  const of = { path: { job: log.job, log: log.log }, query: { attempt: log.attempt }, signal };
  let at = 0;
  for (let tries = 0; ; tries += 1) {
    try {
      const headers = at === 0 ? {} : { range: `bytes=${at}-` };
      const answer = await patience.until(() => client.bytes("readLog", { ...of, headers }));
      for await (const piece of answer.body as AsyncIterable<Buffer>) {
        at += piece.length;
        tries = -1;
        await sink.write(piece);
      }
      return;
    } catch (error) {
      // Nothing is left of what was there when it broke.
      if (error instanceof Refused && error.slug === "wrong-range" && at > 0) return;
      await patience.sitOut(asLost(error), Math.max(tries, 0));
    }
  }
}
