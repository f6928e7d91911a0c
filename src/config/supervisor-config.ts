import { fstatSync } from "node:fs";

/** What systemd told this process, resolved. All of it is absent where nobody supervises it. */
export type SupervisorConfig = {
  /** Where it listens for messages: an absolute path, or `@` and an abstract name (sd_notify(3)). */
  readonly notifySocket: string | undefined;
  /** It ends the process when this long nothing was heard (sd_watchdog_enabled(3)). */
  readonly watchdogMs: number | undefined;
  /** Whether standard error goes to the journal, which reads priorities (systemd.exec(5), JOURNAL_STREAM). */
  readonly isJournal: boolean;
};

const STDERR = 2;

/** Reads what systemd put into the environment; what does not fit this process is passed over, as its manual asks. */
export function readSupervisor(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  pid = process.pid,
): SupervisorConfig {
  const { NOTIFY_SOCKET: socket = "", WATCHDOG_USEC: usec = "" } = environment;
  const { WATCHDOG_PID: watched, JOURNAL_STREAM: stream } = environment;
  const isOurs = watched === undefined || watched === String(pid);
  return {
    notifySocket: /^[/@]./.test(socket) ? socket : undefined,
    watchdogMs: isOurs && /^[1-9]\d{0,14}$/.test(usec) ? Number(usec) / 1000 : undefined,
    isJournal: stream !== undefined && stream === streamOf(STDERR),
  };
}

function streamOf(fd: number): string | undefined {
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
