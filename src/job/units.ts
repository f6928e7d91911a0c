/**
 * Sizes and durations as people write them: a whole number and one unit, nothing between. One unit only, so that there is
 * one way to read `1h30` (none).
 */
const SIZE = /^([1-9][0-9]{0,7})(MiB|GiB|TiB)$/;
const DURATION = /^([1-9][0-9]{0,7})([smhd])$/;

const MIB_PER = { MiB: 1, GiB: 1024, TiB: 1024 * 1024 } as const;
const SECONDS_PER = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** MiB in `512MiB`, `2GiB`, `1TiB`; undefined when it is not a size. */
export function parseSizeMiB(text: string): number | undefined {
  const [, count, unit] = SIZE.exec(text) ?? [];
  return unit === undefined ? undefined : Number(count) * MIB_PER[unit as keyof typeof MIB_PER];
}

/** Seconds in `90s`, `30m`, `1h`, `2d`; undefined when it is not a duration. */
export function parseDurationSeconds(text: string): number | undefined {
  const [, count, unit] = DURATION.exec(text) ?? [];
  return unit === undefined
    ? undefined
    : Number(count) * SECONDS_PER[unit as keyof typeof SECONDS_PER];
}

/** What somebody meant who wrote `1G`, `512 MB`, `30 min` or `90`; undefined when that is anybody's guess. */
export function suggestUnit(text: string, kind: "size" | "duration"): string | undefined {
  const [, count, word] = /^ *([1-9][0-9]{0,7}) *([A-Za-z]{0,8}) *$/.exec(text) ?? [];
  const meant = UNITS_MEANT[kind].find(({ words }) =>
    (words as readonly string[]).includes(word?.toLowerCase() ?? "?"),
  );
  return meant === undefined ? undefined : `${count}${meant.unit}`;
}

const UNITS_MEANT = {
  size: [
    { unit: "MiB", words: ["m", "mb", "mib"] },
    { unit: "GiB", words: ["g", "gb", "gib"] },
    { unit: "TiB", words: ["t", "tb", "tib"] },
  ],
  duration: [
    { unit: "s", words: ["", "s", "sec", "secs", "second", "seconds"] },
    { unit: "m", words: ["m", "min", "mins", "minute", "minutes"] },
    { unit: "h", words: ["h", "hr", "hrs", "hour", "hours"] },
    { unit: "d", words: ["d", "day", "days"] },
  ],
} as const satisfies Record<string, readonly { unit: string; words: readonly string[] }[]>;
