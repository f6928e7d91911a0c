import { secondsInWords } from "#lib/words.ts";
import { CLOSE_MS, GUESTS, ourMark, type Screen, type ScreenOptions, type Tone } from "./screen.ts";

/** A status is told when nothing else was for so long: a log that stands still says why. */
const STATUS_EVERY_SECONDS = 15;

/** Lines, one after the other, for files, pipes and terminals that cannot move their cursor. */
export class PlainScreen implements Screen {
  readonly #options: ScreenOptions;
  #isGuestLineOpen = false;
  #doing: string | undefined;
  #saidSeconds = 0;
  #hasMoved = false;

  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  line(text: string, tone: Tone = "plain"): void {
    this.endGuest();
    this.#hasMoved = true;
    this.#options.output.write(2, `${ourMark(tone, this.#options.hasColor)}${text}\n`);
  }

  guest(text: string): void {
    if (text === "") return;
    this.#hasMoved = true;
    const begin = this.#isGuestLineOpen ? "" : GUESTS;
    this.#isGuestLineOpen = !text.endsWith("\n");
    const body = this.#isGuestLineOpen ? text : text.slice(0, -1);
    const end = this.#isGuestLineOpen ? "" : "\n";
    const lines = `${begin}${body.replaceAll("\n", `\n${GUESTS}`)}${end}`;
    this.#options.output.write(this.#options.guestFd, lines);
  }

  endGuest(): void {
    if (this.#isGuestLineOpen) this.#options.output.write(this.#options.guestFd, "\n");
    this.#isGuestLineOpen = false;
  }

  status(doing: string | undefined, elapsedSeconds = 0): void {
    if (doing !== this.#doing) this.#saidSeconds = 0;
    else if (this.#hasMoved) this.#saidSeconds = elapsedSeconds;
    this.#doing = doing;
    this.#hasMoved = false;
    if (doing === undefined || elapsedSeconds - this.#saidSeconds < STATUS_EVERY_SECONDS) return;
    this.#saidSeconds = elapsedSeconds;
    this.line(`${doing} · ${secondsInWords(elapsedSeconds)}`);
  }

  async close(): Promise<boolean> {
    this.endGuest();
    return !(await this.#options.output.isStuckAfter(CLOSE_MS));
  }
}
