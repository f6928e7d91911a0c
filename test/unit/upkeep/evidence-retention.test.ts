import { expect, test } from "vitest";
import { leaving } from "#host/upkeep/evidence-retention.ts";

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2030, 0, 20);

const aside = (name: string, ageDays: number, bytes: number) => ({
  name,
  state: "aside" as const,
  sinceMs: NOW_MS - ageDays * DAY_MS,
  bytes,
});
const KEEP = { ageMs: 7 * DAY_MS, bytesMax: 100 };
const names = (kept: Parameters<typeof leaving>[0], isSteady = true, retention = KEEP) =>
  leaving(kept, retention, { wallMs: NOW_MS, isSteady }).map(({ name }) => name);

test("what is too old leaves; of the rest the oldest, until it is not too much together", () => {
  expect(names([aside("young", 1, 60), aside("old", 8, 1), aside("middle", 3, 60)])).toEqual([
    "old",
    "middle",
  ]);
  expect(names([aside("a", 6, 50), aside("b", 5, 50)])).toEqual([]);
  expect(names([aside("huge", 0, 1000)])).toEqual(["huge"]);
});

test("with a clock that is not steady nothing is too old, and too much is still too much", () => {
  expect(names([aside("old", 8, 1), aside("young", 1, 60)], false)).toEqual([]);
  expect(names([aside("old", 8, 60), aside("young", 1, 60)], false)).toEqual(["old"]);
});
