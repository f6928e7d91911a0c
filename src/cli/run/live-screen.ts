import {
  CLOSE_MS,
  GUESTS,
  OURS,
  ourMark,
  type Screen,
  type ScreenOptions,
  type Tone,
} from "#host/narration/screen.ts";
import { fitted, TerminalRows } from "#lib/terminal-rows.ts";
import { secondsInWords } from "#lib/words.ts";

/** Above so much unread output the status is not redrawn: it would only add to it. */
const QUEUE_BYTES_MAX = 64 * 1024;
const COLUMNS_MIN = 16;

/** What a line of ours goes on with that is too long for its row. */
const BELOW_OURS = " ".repeat(OURS.length);

// ECMA-48: erase the line, cursor up. Understood by every terminal that can move its cursor.
const ERASE_ROW = "\r\u001b[K";
const UP = "\u001b[A";

/**
 * A terminal: lines scroll by, and below them stands one row that says what is going on. The guest's text is cut into
 * rows no wider than the terminal, each with its mark, so that the end of a long line never begins a row; its open row
 * stands above the status and is drawn again when more of it comes.
 */
export class LiveScreen implements Screen {
  readonly #options: ScreenOptions;
  readonly #columns: () => number;
  readonly #rows = new TerminalRows();
  #status: string | undefined;
  #isStatusDrawn = false;
  #isOpenRowDrawn = false;

  constructor(options: ScreenOptions, columns: () => number) {
    this.#options = options;
    this.#columns = columns;
  }

  line(text: string, tone: Tone = "plain"): void {
    const open = this.#rows.end().map((row) => `${GUESTS}${row}`);
    // Names that a guest gave may stand in our lines, so these are cut into rows as well.
    const whole = new TerminalRows();
    const [first, ...more] = whole.push(`${text}\n`, this.#width() - OURS.length);
    const mark = ourMark(tone, this.#options.hasColor);
    this.#draw([...open, `${mark}${first}`, ...more.map((row) => `${BELOW_OURS}${row}`)]);
  }

  guest(text: string): void {
    if (text === "") return;
    this.#draw(
      this.#rows.push(text, this.#width() - GUESTS.length).map((row) => `${GUESTS}${row}`),
    );
  }

  endGuest(): void {
    this.#draw(this.#rows.end().map((row) => `${GUESTS}${row}`));
  }

  status(doing: string | undefined, elapsedSeconds = 0): void {
    const elapsed = elapsedSeconds === 0 ? "" : ` · ${secondsInWords(elapsedSeconds)}`;
    const text = doing === undefined ? undefined : `${doing}${elapsed}`;
    if (text === this.#status) return;
    this.#status = text;
    if (this.#options.output.queuedBytes < QUEUE_BYTES_MAX) this.#draw([]);
  }

  async close(): Promise<boolean> {
    this.#status = undefined;
    this.endGuest();
    return !(await this.#options.output.isStuckAfter(CLOSE_MS));
  }

  /** The last column stays free: some terminals go to the next row as soon as it is written. */
  #width(): number {
    return Math.max(this.#columns(), COLUMNS_MIN) - 1;
  }

  #paint(status: string): string {
    return this.#options.hasColor ? `\u001b[2m${status}\u001b[0m` : status;
  }

  #draw(rows: readonly string[]): void {
    const erase = this.#isStatusDrawn ? ERASE_ROW : "";
    const eraseOpen = this.#isOpenRowDrawn ? `${UP}${ERASE_ROW}` : "";
    const open = this.#rows.open === "" ? [] : [`${GUESTS}${this.#rows.open}`];
    const status =
      this.#status === undefined ? "" : this.#paint(fitted(this.#status, this.#width()));
    const body = [...rows, ...open].map((row) => `${row}\n`).join("");
    this.#options.output.write(2, `${erase}${eraseOpen}${body}${status}`);
    this.#isStatusDrawn = status !== "";
    this.#isOpenRowDrawn = open.length > 0;
  }
}
