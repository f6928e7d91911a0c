import { DISK_MIB, MEMORY_MIB, TIMEOUT_DAYS_MAX } from "./job-file-schema.ts";
import { parseDurationSeconds, parseSizeMiB, suggestUnit } from "./units.ts";

/** Something wrong that JSON Schema has no words for. */
export type Finding = { readonly path: readonly string[]; readonly says: string };

/** Reads data that may have failed the schema: what has the wrong type is passed over, it was found already. */
export function checkJobFile(data: unknown): readonly Finding[] {
  const resources = at(data, "resources");
  return [
    ...inRange(["resources", "memory"], at(resources, "memory"), MEMORY_MIB),
    ...inRange(["resources", "disk"], at(resources, "disk"), DISK_MIB),
    ...notTooLong(["timeout"], at(data, "timeout")),
    ...listOf(at(data, "steps")).flatMap((step, number) => [
      ...notTooLong(["steps", String(number), "timeout"], at(step, "timeout")),
      ...notTooLong(["steps", String(number), "silence"], at(step, "silence")),
    ]),
    ...uniqueNames(listOf(at(data, "steps"))),
  ];
}

/** `did you mean '2GiB'?` where a size or duration lacks its proper unit; added to what the schema's pattern says. */
export function unitMeant(path: readonly string[], value: unknown): string | undefined {
  const key = path.at(-1) ?? "";
  const kind = UNIT_KEYS[key as keyof typeof UNIT_KEYS];
  if (kind === undefined || (typeof value !== "string" && typeof value !== "number")) {
    return undefined;
  }
  return suggestUnit(String(value), kind);
}

const UNIT_KEYS = {
  memory: "size",
  disk: "size",
  timeout: "duration",
  silence: "duration",
} as const;

function inRange(
  path: readonly string[],
  value: unknown,
  { min, max }: { readonly min: number; readonly max: number },
): readonly Finding[] {
  const size = typeof value === "string" ? parseSizeMiB(value) : undefined;
  if (size === undefined || (size >= min && size <= max)) return [];
  return [{ path, says: `is '${value}'; must be from ${shown(min)} to ${shown(max)}` }];
}

function shown(mebibytes: number): string {
  return mebibytes % (1024 * 1024) === 0 ? `${mebibytes / 1024 / 1024}TiB` : `${mebibytes}MiB`;
}

function notTooLong(path: readonly string[], value: unknown): readonly Finding[] {
  const seconds = typeof value === "string" ? parseDurationSeconds(value) : undefined;
  if (seconds === undefined || seconds <= TIMEOUT_DAYS_MAX * 86_400) return [];
  return [{ path, says: `is '${value}'; must be at most ${TIMEOUT_DAYS_MAX}d` }];
}

/** Names that look the same are the same: compared in Unicode's composed form. */
function uniqueNames(steps: readonly unknown[]): readonly Finding[] {
  const first = new Map<string, number>();
  return steps.flatMap((step, number) => {
    const name = at(step, "name");
    if (typeof name !== "string") return [];
    const key = name.normalize("NFC");
    const before = first.get(key);
    first.set(key, before ?? number);
    if (before === undefined) return [];
    const says = `is the name of step ${before + 1} too; each step needs its own`;
    return [{ path: ["steps", String(number), "name"], says }];
  });
}

function at(data: unknown, key: string): unknown {
  return typeof data === "object" && data !== null && Object.hasOwn(data, key)
    ? (data as Record<string, unknown>)[key]
    : undefined;
}

function listOf(data: unknown): readonly unknown[] {
  return Array.isArray(data) ? data : [];
}
