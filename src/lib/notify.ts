import { printable } from "./printable.ts";
import { PROGRAM_FOLDERS } from "./programs.ts";
import { run } from "./spawn.ts";

/** How long a message may take: systemd-notify waits until systemd has read it. */
const SEND_MS = 5_000;
const STATUS_CHARACTERS_MAX = 200;

/**
 * What this process tells systemd of itself (sd_notify(3)). Node has no Unix datagram sockets; systemd-notify(1), which is
 * wherever systemd is, sends them. A message costs one short process and, since that one is not the unit's main process,
 * the unit needs NotifyAccess=all. Messages go one after the other; what is said meanwhile goes together, so that never more
 * than one of each kind waits. Without a socket nothing is ever sent.
 */
export class Notifier implements AsyncDisposable {
  readonly #socket: string | undefined;
  readonly #onTrouble: (error: unknown) => void;
  readonly #waiting = new Map<string, string>();
  #sending: Promise<void> | undefined;

  /** `onTrouble` hears of messages that could not be sent; nothing else comes of them. */
  constructor(socket: string | undefined, onTrouble: (error: unknown) => void) {
    this.#socket = socket;
    this.#onTrouble = onTrouble;
  }

  /** The start is complete. `status` is what `systemctl status` shows, cut at 200 characters. */
  ready(status: string): void {
    this.#say("READY", "1");
    this.status(status);
  }

  /** What `systemctl status` shows. */
  status(status: string): void {
    this.#say("STATUS", printable(status, STATUS_CHARACTERS_MAX));
  }

  /** The process is about to end. */
  stopping(status: string): void {
    this.#say("STOPPING", "1");
    this.status(status);
  }

  /** The process is alive. */
  alive(): void {
    this.#say("WATCHDOG", "1");
  }

  /** The next step of a start or a stop may take so long without being given up. */
  extend(ms: number): void {
    this.#say("EXTEND_TIMEOUT_USEC", String(Math.ceil(ms * 1000)));
  }

  /** Waits until what was said is sent, or given up. Twice is safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sending;
  }

  #say(key: string, value: string): void {
    if (this.#socket === undefined) return;
    this.#waiting.set(key, value);
    const socket = this.#socket;
    // A moment later: what is said together goes together.
    this.#sending ??= Promise.resolve()
      .then(() => this.#send(socket))
      .finally(() => {
        this.#sending = undefined;
      });
  }

  async #send(socket: string): Promise<void> {
    while (this.#waiting.size > 0) {
      const words = [...this.#waiting].map(([key, value]) => `${key}=${value}`);
      this.#waiting.clear();
      const env = { PATH: PROGRAM_FOLDERS.join(":"), LC_ALL: "C", NOTIFY_SOCKET: socket };
      await run("systemd-notify", words, { timeoutMs: SEND_MS, env }).catch(this.#onTrouble);
    }
  }
}
