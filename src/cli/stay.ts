import { cancelOnSignals } from "#cli/signals.ts";
import { readConfig } from "#config/config.ts";
import { readSupervisor, type SupervisorConfig } from "#config/supervisor-config.ts";
import { type Log, openLog } from "#lib/log.ts";
import type { Level, LineForm } from "#lib/log-line.ts";
import { Notifier } from "#lib/notify.ts";
import { keepAlive } from "#lib/watchdog.ts";

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
  /** What it does, in a few words, for `systemctl status`. */
  status(): Promise<string>;
  /** Resolves when every thread that the work depends on has answered. */
  answers(): Promise<unknown>;
};

/**
 * Starts what stays until a signal comes, and then stops it, in 10 s at most: the log on standard error, systemd told of start,
 * life and stop. What `start` throws ends the process as any command's error does; what it put into the scope is unwound.
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
    const started = await start({ log, notifier, scope });
    const { signal } = signals;
    const stopping = () => beginStop(log, notifier, signal.reason as Error);
    if (signal.aborted) stopping();
    else signal.addEventListener("abort", stopping, { once: true });
    const status = await started.status();
    if (!signal.aborted) {
      notifier.ready(status);
      log.info("ready", { afterMs: Math.round(performance.now() - begunMs) });
    }
    using _ = watch(supervisor, { notifier, started, signal });
    await aborted(signal);
  }
  log.info("stopped");
}

function beginStop(log: Log, notifier: Notifier, { message }: Error): void {
  notifier.stopping("stopping");
  log.info("stopping", { why: message });
  setTimeout(() => {
    log.error("the stop took too long; what hangs is left behind", { limitMs: STOP_MS });
    // The line is written a moment later.
    setTimeout(() => process.exit(1), 100);
  }, STOP_MS).unref();
}

/** Each sign of life brings the status along: it costs no message of its own. */
function watch(
  { watchdogMs }: SupervisorConfig,
  { notifier, started, signal }: { notifier: Notifier; started: Started; signal: AbortSignal },
): Disposable | undefined {
  if (watchdogMs === undefined) return undefined;
  return keepAlive(notifier, watchdogMs, async () => {
    await started.answers();
    const status = await started.status();
    if (!signal.aborted) notifier.status(status);
  });
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
