import type { TerminalOutput } from "#lib/terminal-output.ts";

/** What a line of ours is about; decides its colour and nothing else. */
export type Tone = "plain" | "good" | "bad" | "note";

/**
 * Where people look. Lines of ours begin with `==>`, lines of the guest with `|`: on a screen that both share, a guest
 * cannot write a line of ours. Nothing here blocks or throws.
 */
export interface Screen {
  /** One line of ours; printable. */
  line(text: string, tone?: Tone): void;
  /** More of what the guest prints; harmless text, cut anywhere. */
  guest(text: string): void;
  /** Ends a line that the guest left open. */
  endGuest(): void;
  /** What is going on, and for how long; told every second or so. Undefined: nothing more to say. */
  status(doing: string | undefined, elapsedSeconds?: number): void;
  /** Writes everything out, within limits. False when nobody takes it: leaving in peace is then impossible. */
  close(): Promise<boolean>;
}

/** Where a screen's words go: a terminal, or a file that is followed. */
export type Output = Pick<TerminalOutput, "queuedBytes" | "write" | "isStuckAfter">;

/** How a screen is to look. */
export type ScreenOptions = {
  readonly output: Output;
  /** The descriptor that the guest's lines go to; ours go to standard error (2). */
  readonly guestFd: 1 | 2;
  readonly hasColor: boolean;
};

export const OURS = "==> ";
export const GUESTS = "| ";

/** How long the last words may take to a reader that is slow or stopped. */
export const CLOSE_MS = 2_000;

const PAINT: Readonly<Record<Tone, string>> = {
  plain: "1",
  good: "1;32",
  bad: "1;31",
  note: "1;33",
};

/** The mark of our lines, in colour where there is any. */
export function ourMark(tone: Tone, hasColor: boolean): string {
  return hasColor ? `\u001b[${PAINT[tone]}m${OURS}\u001b[0m` : OURS;
}
