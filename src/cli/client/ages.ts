/** Each unit until so many of it; then the next. */
const UNITS = [
  ["s", 1, 90],
  ["m", 60, 90 * 60],
  ["h", 3600, 36 * 3600],
  ["d", 86_400, Number.POSITIVE_INFINITY],
] as const;

/** A duration in one unit, for tables: `45 s`, `12 m`, `5 h`, `3 d`. */
function shortDuration(ms: number): string {
  const seconds = Math.max(Math.round(ms / 1000), 0);
  const [unit, size] = UNITS.find(([, , below]) => seconds < below) ?? UNITS[3];
  return `${Math.floor(seconds / size)} ${unit}`;
}

/**
 * How long ago a time of the service's clock was, by our own: of clocks that differ it is as wrong as they differ, but
 * never negative.
 */
export function ageOf(time: string, nowMs = Date.now()): string {
  return shortDuration(nowMs - Date.parse(time));
}

/** From one time of the service's clock to another, or until now. */
export function between(begin: string, end: string | undefined, nowMs = Date.now()): string {
  return shortDuration((end === undefined ? nowMs : Date.parse(end)) - Date.parse(begin));
}
