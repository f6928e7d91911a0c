import { parseDurationSeconds, parseSizeMiB } from "./units.ts";

/** Something wrong that JSON Schema has no words for. */
export type Finding = { readonly path: readonly string[]; readonly says: string };

/** The kinds of quantity that are written with a unit; as numbers they are MiB and seconds. */
export type QuantityKind = "size" | "duration";

/** Both ends are allowed. In MiB or seconds. */
export type Range = { readonly min: number; readonly max: number };

/** JSON Schema of a size as text; `outOfRange` bounds it. */
export const size = {
  type: "string",
  pattern: "^[1-9][0-9]{0,7}(MiB|GiB|TiB)$",
  patternErrorMessage: "must be a whole number and MiB, GiB or TiB, such as 512MiB or 2GiB",
} as const;

/** JSON Schema of a duration as text; `outOfRange` bounds it. */
export const duration = {
  type: "string",
  pattern: "^[1-9][0-9]{0,7}[smhd]$",
  patternErrorMessage: "must be a whole number and s, m, h or d, such as 90s, 30m or 2h",
} as const;

const READ = { size: parseSizeMiB, duration: parseDurationSeconds } as const;

/** The units of each kind, largest first. */
const UNITS = {
  size: { TiB: 1024 * 1024, GiB: 1024, MiB: 1 },
  duration: { d: 86_400, h: 3600, m: 60, s: 1 },
} as const satisfies Record<QuantityKind, Readonly<Record<string, number>>>;

/** MiB or seconds in `2GiB` or `5m`; undefined when the text is none. */
export function parseQuantity(kind: QuantityKind, text: string): number | undefined {
  return READ[kind](text);
}

/** As `parseQuantity` reads it, in the largest unit that leaves no rest. */
export function quantityText(kind: QuantityKind, quantity: number): string {
  const units = Object.entries(UNITS[kind]);
  const [unit, per] = units.find(([, size]) => quantity % size === 0) ?? ["", 1];
  return `${quantity / per}${unit}`;
}

/** What is wrong with a quantity that is one, but too small or too large; what is no quantity was found by its pattern. */
export function outOfRange(
  kind: QuantityKind,
  path: readonly string[],
  value: unknown,
  { min, max }: Range,
): readonly Finding[] {
  const quantity = typeof value === "string" ? parseQuantity(kind, value) : undefined;
  if (quantity === undefined || (quantity >= min && quantity <= max)) return [];
  const [least, most] = [quantityText(kind, min), quantityText(kind, max)];
  return [{ path, says: `is '${value}'; must be from ${least} to ${most}` }];
}
