import { printable } from "./printable.ts";

/** The levels, most important first, with syslog's number for journald (sd-daemon(3)) and a colour for terminals. */
const LEVELS = {
  error: { syslog: 3, paint: "31" },
  warn: { syslog: 4, paint: "33" },
  info: { syslog: 6, paint: "32" },
  debug: { syslog: 7, paint: "2" },
} as const;

export type Level = keyof typeof LEVELS;

/** How lines look: objects for programs, the same with a priority for journald, or words for people. */
export type LineForm = "json" | "journal" | "words" | "coloured-words";

const LINE_CHARACTERS_MAX = 32 * 1024;
const VALUE_CHARACTERS_MAX = 400;

/** A line of pino's in its form, with its end. Nothing in it can move a cursor, and none is longer than 32 Ki characters. */
export function lineIn(form: LineForm, json: string): string {
  const line = json.length > LINE_CHARACTERS_MAX ? cutLine(json) : json.trimEnd();
  if (form === "json") return `${escaped(line)}\n`;
  const fields = JSON.parse(line) as { level: Level; time: string; msg?: string };
  if (form === "journal") return `<${LEVELS[fields.level].syslog}>${escaped(line)}\n`;
  return wordsOf(fields, form === "coloured-words");
}

/** JSON escapes control characters up to U+001F; the rest of what is invisible stands only inside its strings as well. */
function escaped(json: string): string {
  return json.replace(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

function cutLine(json: string): string {
  const { level, time, msg } = JSON.parse(json) as { level: Level; time: string; msg?: string };
  return JSON.stringify({ level, time, msg: printable(msg ?? ""), cutCharacters: json.length });
}

function wordsOf(
  { level, time, msg = "", ...fields }: { level: Level; time: string; msg?: string },
  isColoured: boolean,
): string {
  const clock = time.slice(11, 19);
  const word = level.padEnd(5);
  const shown = isColoured ? `\u001b[${LEVELS[level].paint}m${word}\u001b[0m` : word;
  const { error, ...rest } = fields as { error?: string | { message?: string; stack?: string } };
  const { message, stack } = typeof error === "object" ? error : { message: error };
  const pairs = Object.entries({ ...rest, ...(message && { error: message }) }).map(
    ([key, value]) =>
      ` ${printable(key)}=${printable(typeof value === "string" ? value : JSON.stringify(value), VALUE_CHARACTERS_MAX)}`,
  );
  const frames = stack?.split("\n").slice(1) ?? [];
  const lines = [`${clock} ${shown} ${printable(msg)}${pairs.join("")}`];
  return `${[...lines, ...frames.map((line) => printable(line))].join("\n")}\n`;
}
