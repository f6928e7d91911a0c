import type { LogSize, StepEnd, StepOrder } from "#host/runner/guest-port.ts";
import { Fault } from "#job/fault.ts";
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

/** The runner read less than the whole step. */
const NO_TEXT_CODE = 71;

/** That, or it could write no more of its log (73): the connection was cut. */
const CUT_CONNECTION_CODES = [NO_TEXT_CODE, 73];

/**
 * Starts a step, or finds it started, and follows its log into a file until it ends. See the port for what it promises.
 * The step's own limits and the attempt's rest hold in the guest; the host enforces the step's own again, a little later, for a guest whose runner is dead.
 */
export async function runStep(
  link: GuestLink,
  order: StepOrder,
  signal: AbortSignal,
): Promise<StepEnd> {
  if (!order.isBegun) signal.throwIfAborted();
  await using log = await LogFile.open(order.logPath, order.logLimitBytes);
  const heard: Heard = { atMs: performance.now(), says: undefined };
  const pursuit = { link, order, log, heard, mayBegin: !signal.aborted };
  try {
    const end = await pursue(pursuit, signal);
    return { ...end, ...(await finish(pursuit)) };
  } catch (error) {
    // The step goes on, and so does its log.
    if (link.isLetGo) throw error;
    // What ended the step is told, and not that its log has no room for a last line.
    const size = await finish(pursuit).catch(() => undefined);
    if (size !== undefined) order.onLogEnd?.(size);
    throw error;
  }
}

/** What came from the guest: when last, and its runner's last words. */
type Heard = { atMs: number; says: RunnerSays | undefined };

type Pursuit = {
  readonly link: GuestLink;
  readonly order: StepOrder;
  readonly log: LogFile;
  readonly heard: Heard;
  /** Otherwise it is only followed. */
  readonly mayBegin: boolean;
};

async function pursue(
  pursuit: Pursuit,
  signal: AbortSignal,
): Promise<Pick<StepEnd, "outcome" | "exitCode" | "signal">> {
  const { link, heard } = pursuit;
  const giveUp = new AbortController();
  const following = link.use(async (connection, use) => {
    heard.says = await follow({ ...pursuit, connection }, use);
    return heard.says;
  }, giveUp.signal);
  following.catch(() => undefined);
  using watch = new AbortControllerScope();
  const late = hostLimits(pursuit, watch.signal);
  const outcome = await Promise.race([following, late, aborted(signal, watch.signal)]);
  if (outcome !== "cancelled" && outcome !== "timed-out" && outcome !== "silent") {
    return outcomeOf(outcome);
  }
  const stopped = await stopStep(pursuit, { giveUp, following });
  if (outcome === "cancelled") throw signal.reason;
  if (heard.says !== undefined) return { ...outcomeOf(heard.says), outcome };
  // Only a guest that still answers can have a step that is too slow: else nobody knows what the step did.
  if (stopped.fault !== undefined) throw stopped.fault;
  if (!stopped.isAnswered) throw await link.unanswered("while a step was over its limit");
  return { outcome };
}

type Following = Pursuit & { readonly connection: SshConnection };

async function follow(
  { connection, link, order, log, heard, mayBegin }: Following,
  signal: AbortSignal,
): Promise<RunnerSays> {
  const { command, input } = stepRequest(link, order, log.bytes);
  using exec = await connection.exec(command, signal);
  // A step that nobody has begun is not begun without its text.
  const sent = exec.write(mayBegin ? input : Buffer.alloc(0)).then(() => exec.endInput());
  sent.catch(() => undefined);
  for (let piece = await exec.read(); piece !== undefined; piece = await exec.read()) {
    heard.atMs = performance.now();
    const kept = await log.append(piece);
    if (kept.length > 0) order.onLog?.(kept);
  }
  return await runnersWord(exec, mayBegin, signal);
}

async function runnersWord(
  exec: Exec,
  mayBegin: boolean,
  signal: AbortSignal,
): Promise<RunnerSays> {
  const { exitCode } = await exec.ended;
  signal.throwIfAborted();
  const says = readStepEnd(exec.stderr);
  if (says !== undefined) return says;
  if (!mayBegin && exitCode === NO_TEXT_CODE)
    throw new Fault("guest-runner-lost", "the step had not begun");
  if (exitCode === undefined || CUT_CONNECTION_CODES.includes(exitCode)) {
    throw new ConnectionLost("the connection was cut while a log was followed");
  }
  throw new Fault("guest-runner-lost", "the guest lost the runner of the step", {
    evidence: { exitCode, said: printable(exec.stderr.slice(-1000), 1000) },
  });
}

function stepRequest(
  link: GuestLink,
  order: StepOrder,
  offset: number,
): { command: string; input: Buffer } {
  const { number, step, env, logLimitBytes } = order;
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
    logLimitBytes,
    guestLimitSeconds(order),
    Math.ceil(step.silenceSeconds ?? 0),
    text.split("\n").length - 1,
    run.length,
  ];
  return {
    command: runnerCommand(link.options, "step", ...numbers.map(String)),
    input: Buffer.concat([Buffer.from(text), run]),
  };
}

/** When the guest ends the step by itself; 0 is never. An attempt whose time is up has a second, and not for ever. */
function guestLimitSeconds({ step, attemptSecondsLeft }: StepOrder): number {
  const seconds = Math.min(step.timeoutSeconds ?? Infinity, attemptSecondsLeft ?? Infinity);
  return seconds === Infinity ? 0 : Math.max(1, Math.ceil(seconds));
}

/** Ends the log with a line that says what is missing, if something is. Twice is safe. */
async function finish({ order, log, heard }: Pursuit): Promise<LogSize> {
  const printedBytes = heard.says?.printedBytes;
  const cutBytes = Math.max(0, (printedBytes ?? log.bytes) - log.bytes);
  if (cutBytes > 0 || heard.says?.isLost === true || (printedBytes === undefined && log.isFull)) {
    const line = await log.cut(printedBytes === undefined ? undefined : cutBytes);
    if (line.length > 0) order.onLog?.(line);
  }
  return { logBytes: log.bytes, cutBytes };
}

type Stopped = {
  /** The guest took the order to stop; whether it obeyed is another matter. */
  readonly isAnswered: boolean;
  /** What became of the guest meanwhile. */
  readonly fault: Fault | undefined;
};

/** Has the step's process group killed in the guest and its log fetched to the end, all within the limit for that. */
async function stopStep(
  { link, order }: Pursuit,
  { giveUp, following }: { giveUp: AbortController; following: Promise<RunnerSays> },
): Promise<Stopped> {
  const limit = AbortSignal.timeout(link.options.stopSeconds * 1000);
  limit.addEventListener(
    "abort",
    () => giveUp.abort(new Error("the guest would not stop a step")),
    {
      once: true,
    },
  );
  const command = runnerCommand(link.options, "stop", String(order.number));
  let isAnswered = false;
  const stopping = link.use(async (connection, signal) => {
    using exec = await connection.exec(command, signal);
    isAnswered = true;
    exec.endInput();
    exec.discard();
    await exec.ended;
  }, limit);
  stopping.catch(() => undefined);
  const thrown = await following.then(
    () => undefined,
    (error: unknown) => error,
  );
  return { isAnswered, fault: thrown instanceof Fault ? thrown : undefined };
}

/**
 * Resolves when a step has overrun its own limits so far that the guest cannot be enforcing them. Time without a
 * connection is no silence, and a guest that was just found again may first say how the step ended.
 */
async function hostLimits(
  { link, order: { step }, log, heard }: Pursuit,
  stop: AbortSignal,
): Promise<"timed-out" | "silent"> {
  const slackMs = link.options.slackSeconds * 1000;
  // No connection for longer than this is a fault of its own; a guest that drops each one gains no more time.
  const awayMs = link.options.unreachableSeconds * 1000;
  const limitMs = (step.timeoutSeconds ?? Infinity) * 1000 + slackMs;
  const silenceMs = (step.silenceSeconds ?? Infinity) * 1000 + slackMs;
  const startedAtMs = performance.now();
  for (let foundAtMs = startedAtMs; !stop.aborted; await pause(1000, stop)) {
    const now = performance.now();
    if (!link.isConnected) foundAtMs = now;
    const overMs = now - startedAtMs - limitMs;
    if (overMs > awayMs || (overMs > 0 && now - foundAtMs > slackMs)) return "timed-out";
    // What comes after the cut is swallowed in the guest, where the host cannot hear it.
    const quietMs = log.isFull ? 0 : now - Math.max(heard.atMs, foundAtMs);
    if (quietMs > silenceMs) return "silent";
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
