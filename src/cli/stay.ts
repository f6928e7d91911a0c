import { readConfig } from "#config/config.ts";
import { readSupervisor, type SupervisorConfig } from "#config/supervisor-config.ts";
import { type Log, openLog } from "#lib/log.ts";
import type { Level, LineForm } from "#lib/log-line.ts";
import { Notifier } from "#lib/notify.ts";
import { keepAlive } from "#lib/watchdog.ts";
import { cancelOnSignals } from "./signals.ts";

/** A stop takes no longer, whatever hangs. */
const STOP_MS = 10_000;

/** What a process that stays is given: where it says what it does, and the stack that is unwound when it stops. */
export type Household = {
  readonly log: Log;
  readonly notifier: Notifier;
  readonly scope: AsyncDisposableStack;
};

/** What such a process is once it has started. */
export type Started = {
  /** For `systemctl status`. */
  readonly status: string;
  /** Resolves when every thread that the work depends on has answered. */
  answers(): Promise<unknown>;
};

/**
 * Starts what stays until a signal comes, and then stops it, in 10 s at most: the log on standard error, systemd told of start,
 * stop and life. What `start` throws ends the process as any command's error does; what it put into the scope is unwound.
 */
export async function stay(
  { level, version }: { readonly level: Level; readonly version: string },
  start: (household: Household) => Promise<Started>,
): Promise<void> {
  const supervisor = readSupervisor();
  await using log = openLog({ level, form: formOf(supervisor) });
  await using notifier = new Notifier(supervisor.notifySocket, (error) =>
    log.warn("systemd was not told", { error }),
  );
  using signals = cancelOnSignals(
    () => undefined,
    () => process.exit(1),
  );
  const begunMs = performance.now();
  log.info("starting", { version, pid: process.pid });
  {
    await using scope = new AsyncDisposableStack();
    const { status, answers } = await start({ log, notifier, scope });
    notifier.ready(status);
    log.info("ready", { afterMs: msSince(begunMs) });
    using _ = watch(supervisor, notifier, answers);
    await aborted(signals.signal);
    notifier.stopping("stopping");
    log.info("stopping", { why: String(signals.signal.reason?.message) });
    setTimeout(() => giveUp(log), STOP_MS).unref();
  }
  log.info("stopped");
}

function watch(
  { watchdogMs }: SupervisorConfig,
  notifier: Notifier,
  answers: Started["answers"],
): Disposable | undefined {
  return watchdogMs === undefined ? undefined : keepAlive(notifier, watchdogMs, answers);
}

function formOf({ isJournal }: SupervisorConfig): LineForm {
  if (isJournal) return "journal";
  if (process.stderr.isTTY !== true) return "json";
  return readConfig().hasColor ? "coloured-words" : "words";
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((done) => signal.addEventListener("abort", done, { once: true }));
}

function giveUp(log: Log): void {
  log.error("the stop took too long; what hangs is left behind", { limitMs: STOP_MS });
  // The line is written a moment later.
  setTimeout(() => process.exit(1), 100);
}

function msSince(begunMs: number): number {
  return Math.round(performance.now() - begunMs);
}
