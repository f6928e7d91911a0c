import { DISK_MIB, MEMORY_MIB, TIMEOUT_SECONDS } from "./job-file-schema.ts";
import { type Finding, outOfRange } from "./quantity.ts";
import { suggestUnit } from "./units.ts";

/** Reads data that may have failed the schema: what has the wrong type is passed over, it was found already. */
export function checkJobFile(data: unknown): readonly Finding[] {
  const resources = at(data, "resources");
  return [
    ...outOfRange("size", ["resources", "memory"], at(resources, "memory"), MEMORY_MIB),
    ...outOfRange("size", ["resources", "disk"], at(resources, "disk"), DISK_MIB),
    ...outOfRange("duration", ["timeout"], at(data, "timeout"), TIMEOUT_SECONDS),
    ...listOf(at(data, "steps")).flatMap((step, number) => [
      ...outOfRange(
        "duration",
        ["steps", String(number), "timeout"],
        at(step, "timeout"),
        TIMEOUT_SECONDS,
      ),
      ...outOfRange(
        "duration",
        ["steps", String(number), "silence"],
        at(step, "silence"),
        TIMEOUT_SECONDS,
      ),
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
