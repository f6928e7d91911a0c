import type { Log } from "#lib/log.ts";

/** A line that was said. */
export type SaidLine = {
  readonly level: string;
  readonly words: string;
  readonly fields: Readonly<Record<string, unknown>>;
};

/** A log that keeps what it is told. */
export function saidLog(): { readonly log: Log; readonly lines: SaidLine[] } {
  const lines: SaidLine[] = [];
  const say =
    (level: string) =>
    (words: string, fields = {}) => {
      lines.push({ level, words, fields });
    };
  const log = { info: say("info"), warn: say("warn"), error: say("error"), debug: say("debug") };
  return { log, lines };
}

/** What was said at a level, without the fields. */
export function said(lines: readonly SaidLine[], at: string): readonly string[] {
  return lines.filter(({ level }) => level === at).map(({ words }) => words);
}
