import type { Listener } from "#host/runner/attempt.ts";
import type { Phase } from "#job/phase.ts";
import type { StepResult } from "#job/verdict.ts";
import { printable } from "#lib/printable.ts";
import { TerminalText } from "#lib/terminal-text.ts";
import { bytesInWords, durationInWords } from "#lib/words.ts";
import { outcomeInWords } from "./outcome.ts";
import type { Output, Screen } from "./screen.ts";

/**
 * What the reader may be behind before the guest's text is left out on the screen; the step's log has all of it. It is
 * left out for a second at least and until the reader has caught up: one line says so for a second's worth, not for
 * each piece.
 */
const BEHIND_BYTES = { leaveOut: 512 * 1024, goOn: 64 * 1024 } as const;
const LEAVE_OUT_MS = 1_000;
const TICK_MS = 1_000;
/** A line about inputs that are on their way. */
const INPUTS_EVERY_MS = 5_000;

const PHASE_WORDS: Readonly<Partial<Record<Phase, string>>> = {
  preparing: "preparing the machine",
  booting: "starting the machine",
  collecting: "collecting artifacts",
  settled: "taking the machine down",
};

/**
 * Tells a screen what an attempt's listener is told. Everything of the guest's goes through `TerminalText`, everything
 * else of others through `printable`.
 */
export class Narrator implements Listener, Disposable {
  readonly #screen: Screen;
  readonly #output: Output;
  readonly #stepCount: number;
  readonly #ticker: NodeJS.Timeout;
  #attempt = 0;
  #step = "";
  #doing = "";
  #doingSinceMs = performance.now();
  #bootSinceMs = performance.now();
  #log = new TerminalText();
  #leftOutBytes = 0;
  #leftOutSinceMs = 0;
  #inputsToldAtMs = 0;

  constructor(screen: Screen, output: Output, stepCount: number) {
    this.#screen = screen;
    this.#output = output;
    this.#stepCount = stepCount;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  /** The attempt that runs, or ran last, counted from 1; 0 before the first. */
  get attempt(): number {
    return this.#attempt;
  }

  enter(phase: Phase): void {
    // Every attempt prepares, once, before it has a machine.
    if (phase === "preparing") this.#attempt += 1;
    if (phase === "booting") this.#bootSinceMs = performance.now();
    if (phase === "running") {
      const took = durationInWords(performance.now() - this.#bootSinceMs);
      this.#screen.line(`the machine is ready after ${took}`);
      this.#inputsToldAtMs = performance.now();
      this.#do("sending inputs");
    }
    const words = PHASE_WORDS[phase];
    if (words !== undefined) this.#do(words);
    if (phase === "preparing" || phase === "booting") this.#screen.line(words ?? phase);
  }

  takenUp(phase: Phase): void {
    this.#screen.line(`the daemon was restarted; the attempt goes on, in phase ${phase}`, "note");
  }

  image({ name, version, digest }: { name: string; version: string; digest: string }): void {
    this.#screen.line(`image ${name}:${version}, sha256 ${digest.slice(0, 12)}`);
  }

  requirement(name: string, state: "waiting" | "met"): void {
    if (state === "waiting") this.#do(`waiting: ${printable(name)}`);
  }

  inputsSent(bytes: number, isAll: boolean): void {
    const nowMs = performance.now();
    if (!isAll && nowMs - this.#inputsToldAtMs < INPUTS_EVERY_MS) return;
    this.#inputsToldAtMs = nowMs;
    this.#screen.line(`sent ${bytesInWords(bytes)} of inputs`);
  }

  progress(line: string): void {
    this.#screen.line(printable(line));
  }

  stepBegins(number: number, name: string): void {
    this.#log = new TerminalText();
    this.#step = `step ${number} of ${this.#stepCount}: ${printable(name)}`;
    this.#screen.line(this.#step);
    this.#do(this.#step);
  }

  stepLog(_number: number, piece: Buffer): void {
    if (this.#isBehind()) {
      this.#leftOutBytes += piece.length;
      return;
    }
    this.#sayLeftOut();
    this.#screen.guest(this.#log.push(piece));
  }

  stepEnds(result: StepResult): void {
    this.#screen.guest(this.#log.end());
    this.#screen.endGuest();
    this.#sayLeftOut();
    if (result.cutBytes > 0) {
      const cut = bytesInWords(result.cutBytes);
      this.#screen.line(
        `the log reached its limit; ${cut} more were printed and thrown away`,
        "note",
      );
    }
    const tone = result.outcome === "passed" ? "good" : "bad";
    const took = durationInWords(result.durationMs);
    this.#screen.line(`${this.#step}: ${outcomeInWords(result)} after ${took}`, tone);
  }

  leak(what: string, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#screen.line(`could not remove ${printable(what)}: ${printable(why)}`, "bad");
  }

  /** Stops the clock of the status. */
  [Symbol.dispose](): void {
    clearInterval(this.#ticker);
    this.#screen.status(undefined);
  }

  #isBehind(): boolean {
    const { queuedBytes } = this.#output;
    const nowMs = performance.now();
    if (this.#leftOutBytes === 0) this.#leftOutSinceMs = nowMs;
    return this.#leftOutBytes === 0
      ? queuedBytes > BEHIND_BYTES.leaveOut
      : queuedBytes > BEHIND_BYTES.goOn || nowMs - this.#leftOutSinceMs < LEAVE_OUT_MS;
  }

  #sayLeftOut(): void {
    if (this.#leftOutBytes === 0) return;
    const bytes = bytesInWords(this.#leftOutBytes);
    this.#leftOutBytes = 0;
    this.#screen.line(`${bytes} of output left out here, the step's log has them`, "note");
  }

  #do(what: string): void {
    this.#doing = what;
    this.#doingSinceMs = performance.now();
    this.#tick();
  }

  #tick(): void {
    const elapsedSeconds = Math.floor((performance.now() - this.#doingSinceMs) / 1000);
    this.#screen.status(this.#doing, elapsedSeconds);
  }
}
