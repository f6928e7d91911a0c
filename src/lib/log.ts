import { pino } from "pino";
import { errorFields } from "./error-fields.ts";
import { type Level, type LineForm, lineIn } from "./log-line.ts";
import { LogSink } from "./log-sink.ts";

/** Data of a line: plain values, and an error, or its message, as `error`. Never a secret, never what a guest printed. */
type LogFields = Readonly<Record<string, unknown>> & { readonly error?: unknown };

/** What a process says of itself. A line has a message that is always the same words, and fields with what was the case. */
export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
}

export type LogOptions = {
  /** The least that is said. */
  readonly level: Level;
  readonly form: LineForm;
  /** Default: 2, standard error. */
  readonly fd?: number;
};

/**
 * A log on a descriptor of ours. Saying something never waits and never throws, whatever the reader does: lines that nobody
 * takes are left out, and counted. Disposing writes what is left, a second or two at most; it is safe twice.
 */
export function openLog({ level, form, fd = 2 }: LogOptions): Log & AsyncDisposable {
  const sayDropped = (lines: number) =>
    lineIn(form, JSON.stringify({ level: "warn", time: now(), msg: "log lines left out", lines }));
  const sink = new LogSink(fd, sayDropped);
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${now()}"`,
      formatters: { level: (label) => ({ level: label }) },
      errorKey: "error",
      serializers: { error: (error) => (typeof error === "string" ? error : errorFields(error)) },
    },
    { write: (line) => sink.write(lineIn(form, line)) },
  );
  return {
    error: (message, fields = {}) => logger.error(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    info: (message, fields = {}) => logger.info(fields, message),
    debug: (message, fields = {}) => logger.debug(fields, message),
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  };
}

/** RFC 3339 in UTC, with milliseconds. */
function now(): string {
  return new Date().toISOString();
}
