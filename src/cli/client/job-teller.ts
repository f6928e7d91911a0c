import type { Screen } from "#host/narration/screen.ts";
import { printable } from "#lib/printable.ts";
import type { JobEvent, Waiting } from "#protocol/job-view.ts";
import { PATIENCE_WORDS, type PatienceTeller } from "./patience.ts";
import { shortDigests } from "./short-digests.ts";

const TICK_MS = 1_000;
const SAYS_CHARACTERS_MAX = 1_000;

/** Tells a screen a job's history: lines for what happened, the status for what goes on. Words of others are made printable. */
export class JobTeller implements PatienceTeller, Disposable {
  readonly #screen: Screen;
  readonly #ticker: NodeJS.Timeout;
  #doing: string | undefined;
  #doingSinceMs = performance.now();
  #isGone = false;
  #waiting = "";

  constructor(screen: Screen) {
    this.#screen = screen;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  /** What goes on from now on. */
  do(what: string): void {
    if (what !== this.#doing) this.#doingSinceMs = performance.now();
    this.#doing = what;
    this.#tick();
  }

  /** One event. Phases go into the status: in lines the host tells them itself, in the log. */
  event({ kind, says, host, attempt, verdict }: JobEvent): void {
    const words = shortDigests(printable(says, SAYS_CHARACTERS_MAX));
    switch (kind) {
      case "submitted":
      case "queued":
        this.#waiting = "";
        this.#screen.line(words, kind === "queued" ? "note" : "plain");
        this.do("queued");
        break;
      case "leased":
        this.#screen.line(words);
        this.do(`leased by ${host ?? "a host"}`);
        break;
      case "phase":
        this.do(
          `${words} on ${host ?? "a host"}${(attempt ?? 1) > 1 ? `, attempt ${attempt}` : ""}`,
        );
        break;
      case "cancel":
        this.#screen.line(`cancel: ${words}`, "note");
        break;
      case "ended":
        if (verdict === "broken") this.#screen.line(words, "bad");
        break;
      case "fenced":
        this.#screen.line(words, "bad");
        break;
      case "pinned":
        this.#screen.line(words);
        break;
      case "settled":
        break;
    }
  }

  /** Why the job waits; told when it changes. */
  waits({ says, position }: Waiting): void {
    const words = printable(says, SAYS_CHARACTERS_MAX);
    const place = position > 1 ? `, ${position - 1} of its kind before it` : "";
    this.do(`queued${place}: ${words}`);
    if (words !== this.#waiting) this.#screen.line(`waits: ${words}${place}`);
    this.#waiting = words;
  }

  gone(why: string): void {
    this.#isGone = true;
    this.#screen.line(PATIENCE_WORDS.gone(why), "note");
    this.#tick();
  }

  back(afterSeconds: number): void {
    this.#isGone = false;
    this.#screen.line(PATIENCE_WORDS.back(afterSeconds), "good");
    this.#tick();
  }

  /** Stops the clock of the status. */
  [Symbol.dispose](): void {
    clearInterval(this.#ticker);
    this.#screen.status(undefined);
  }

  #tick(): void {
    if (this.#doing === undefined) return;
    const elapsedSeconds = Math.floor((performance.now() - this.#doingSinceMs) / 1000);
    const doing = this.#isGone ? `no connection (${this.#doing})` : this.#doing;
    this.#screen.status(doing, elapsedSeconds);
  }
}
