import type { StepEnd, StepOrder } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { deadline } from "#lib/deadline.ts";
import { printable } from "#lib/printable.ts";
import type { Exec } from "./channel.ts";
import type { SshConnection } from "./connection.ts";
import { pause } from "./dial.ts";
import type { GuestLink } from "./guest-link.ts";
import { LogFile } from "./log-file.ts";
import { quote } from "./quote.ts";
import { runnerCommand } from "./runner.ts";
import { ConnectionLost } from "./ssh-errors.ts";
import { outcomeOf, type RunnerSays, readStepEnd } from "./step-end.ts";

/** The runner read less than the whole step (71) or could write no more of its log (73): the connection was cut. */
const CUT_CONNECTION_CODES = [71, 73];
/** The unit of `ulimit -f` (POSIX). */
const BLOCK_BYTES = 512;

/**
 * Starts a step, or finds it started, and follows its log into a file until it ends. See the port for what it promises.
 * The step's own limits hold in the guest; the host enforces them again, a little later, for a guest whose runner is dead.
 */
export async function runStep(
  link: GuestLink,
  order: StepOrder,
  signal: AbortSignal,
): Promise<StepEnd> {
  signal.throwIfAborted();
  await using log = await LogFile.open(order.logPath, order.logLimitBytes);
  const giveUp = new AbortController();
  const heard = { atMs: performance.now() };
  const following = link.use((connection, use) => {
    return follow({ connection, link, order, log, heard }, use);
  }, giveUp.signal);
  following.catch(() => undefined);
  using watch = new AbortControllerScope();
  const late = hostLimits(link, order, { log, heard }, watch.signal);
  const outcome = await Promise.race([following, late, aborted(signal, watch.signal)]);
  if (outcome !== "cancelled" && outcome !== "timed-out" && outcome !== "silent") {
    return finish(order, log, outcome);
  }
  const says = await stopStep(link, order, { giveUp, following });
  if (outcome === "cancelled") throw signal.reason;
  const end = says === undefined ? undefined : await finish(order, log, says);
  return { ...(end ?? { logBytes: log.bytes, cutBytes: 0 }), outcome };
}

type Following = {
  readonly connection: SshConnection;
  readonly link: GuestLink;
  readonly order: StepOrder;
  readonly log: LogFile;
  readonly heard: { atMs: number };
};

async function follow(
  { connection, link, order, log, heard }: Following,
  signal: AbortSignal,
): Promise<RunnerSays> {
  const { command, input } = stepRequest(link, order, log.bytes);
  using exec = await connection.exec(command, signal);
  const sent = exec.write(input).then(() => exec.endInput());
  sent.catch(() => undefined);
  for (let piece = await exec.read(); piece !== undefined; piece = await exec.read()) {
    heard.atMs = performance.now();
    const kept = await log.append(piece);
    if (kept.length > 0) order.onLog?.(kept);
  }
  return await runnersWord(exec, signal);
}

async function runnersWord(exec: Exec, signal: AbortSignal): Promise<RunnerSays> {
  const { exitCode } = await exec.ended;
  signal.throwIfAborted();
  const says = readStepEnd(exec.stderr);
  if (says !== undefined) return says;
  if (exitCode === undefined || CUT_CONNECTION_CODES.includes(exitCode)) {
    throw new ConnectionLost("the connection was cut while a log was followed");
  }
  throw new Fault("guest-runner-lost", "the guest lost the runner of the step", {
    evidence: { exitCode, said: printable(exec.stderr.slice(-1000), 1000) },
  });
}

function stepRequest(
  link: GuestLink,
  { number, step, env, logLimitBytes }: StepOrder,
  offset: number,
): { command: string; input: Buffer } {
  const exports = Object.entries(env).map(([name, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new TypeError(`no shell can export ${JSON.stringify(name)}`);
    }
    return `export ${name}=${quote(value)}\n`;
  });
  const text = exports.join("");
  const run = Buffer.from(step.run);
  const numbers = [
    number,
    offset,
    Math.ceil(logLimitBytes / BLOCK_BYTES),
    Math.ceil(step.timeoutSeconds ?? 0),
    Math.ceil(step.silenceSeconds ?? 0),
    text.split("\n").length - 1,
    run.length,
  ];
  return {
    command: runnerCommand(link.options, "step", ...numbers.map(String)),
    input: Buffer.concat([Buffer.from(text), run]),
  };
}

async function finish(order: StepOrder, log: LogFile, says: RunnerSays): Promise<StepEnd> {
  const { printedBytes } = says;
  const cutBytes = Math.max(0, (printedBytes ?? log.bytes) - log.bytes);
  if (cutBytes > 0 || (printedBytes === undefined && log.isFull)) {
    const line = await log.cut(printedBytes === undefined ? undefined : cutBytes);
    if (line.length > 0) order.onLog?.(line);
  }
  return { ...outcomeOf(says), logBytes: log.bytes, cutBytes };
}

/** Has the step's process group killed in the guest and its log fetched to the end, all within the limit for that. */
async function stopStep(
  link: GuestLink,
  order: StepOrder,
  { giveUp, following }: { giveUp: AbortController; following: Promise<RunnerSays> },
): Promise<RunnerSays | undefined> {
  const limit = AbortSignal.timeout(link.options.stopSeconds * 1000);
  limit.addEventListener(
    "abort",
    () => giveUp.abort(new Error("the guest would not stop a step")),
    {
      once: true,
    },
  );
  const command = runnerCommand(link.options, "stop", String(order.number));
  link
    .use((connection, signal) => connection.ask(command, "", signal), limit)
    .catch(() => undefined);
  return await following.catch(() => undefined);
}

/** Resolves when a step has overrun its own limits so far that the guest cannot be enforcing them. */
async function hostLimits(
  link: GuestLink,
  { step }: StepOrder,
  { log, heard }: { log: LogFile; heard: { readonly atMs: number } },
  stop: AbortSignal,
): Promise<"timed-out" | "silent"> {
  const slackMs = link.options.slackSeconds * 1000;
  using limit = deadline(
    (step.timeoutSeconds ?? Infinity) * 1000 + slackMs,
    () => new Error("late"),
  );
  const silenceMs = (step.silenceSeconds ?? Infinity) * 1000 + slackMs;
  while (!stop.aborted) {
    if (limit.signal.aborted) return "timed-out";
    // What comes after the cut is swallowed in the guest, where the host cannot hear it.
    if (!log.isFull && performance.now() - heard.atMs > silenceMs) return "silent";
    await pause(1000, AbortSignal.any([stop, limit.signal]));
  }
  return new Promise(() => undefined);
}

async function aborted(signal: AbortSignal, stop: AbortSignal): Promise<"cancelled"> {
  const { promise, resolve } = Promise.withResolvers<"cancelled">();
  const onAbort = () => resolve("cancelled");
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true, signal: stop });
  return await promise;
}

/** An abort controller that aborts when its scope ends, so that what waits beside the work ends with it. */
class AbortControllerScope implements Disposable {
  readonly #controller = new AbortController();

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    this.#controller.abort();
  }
}
