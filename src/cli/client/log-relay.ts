import { GUESTS, OURS, type Screen } from "#host/narration/screen.ts";
import { TerminalText } from "#lib/terminal-text.ts";

/** A line of the host's words is never so long; what is, is shown in parts. */
const LINE_CHARACTERS_MAX = 8 * 1024;

/**
 * Shows an attempt's `output` log on a screen. The log is what `testbed run` prints: lines that the host marked as its own
 * are shown as such, everything else as the guest's. Any bytes are harmless.
 */
export class LogRelay {
  readonly #screen: Screen;
  #text = new TerminalText();
  /** The beginning of a line whose kind is not known yet, or a line of the host's that is not whole. */
  #held = "";
  #isInGuest = false;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  push(bytes: Uint8Array): void {
    this.#take(this.#text.push(bytes));
  }

  /** The log is over; another may follow. */
  end(): void {
    this.#take(this.#text.end());
    if (this.#held !== "") this.#take("\n");
    this.#screen.endGuest();
    this.#text = new TerminalText();
    this.#isInGuest = false;
  }

  #take(text: string): void {
    let rest = this.#held + text;
    this.#held = "";
    while (rest !== "") {
      const end = rest.indexOf("\n") + 1;
      const line = end === 0 ? rest : rest.slice(0, end);
      if (!this.#isInGuest && end === 0 && this.#isUndecided(line)) {
        this.#held = line;
        return;
      }
      this.#show(line);
      rest = rest.slice(line.length);
    }
  }

  /** Whether more must come before the line can be shown. */
  #isUndecided(line: string): boolean {
    if (line.length > LINE_CHARACTERS_MAX) return false;
    return line.startsWith(OURS) || OURS.startsWith(line) || GUESTS.startsWith(line);
  }

  #show(line: string): void {
    if (!this.#isInGuest && line.startsWith(OURS)) {
      this.#screen.line(line.slice(OURS.length).trimEnd());
      return;
    }
    this.#screen.guest(
      !this.#isInGuest && line.startsWith(GUESTS) ? line.slice(GUESTS.length) : line,
    );
    this.#isInGuest = !line.endsWith("\n");
  }
}
