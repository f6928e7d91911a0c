import { expect, test } from "vitest";
import type { StoredImage } from "#host/images/store/inventory.ts";
import { decide, type PruneRules } from "#host/images/store/prune-rules.ts";

const DAY_MS = 24 * 3600_000;
const NOW_MS = Date.parse("2030-06-15T12:00:00Z");
const MIB = 2 ** 20;

/** An image that nothing keeps: of an old version, not used for 100 days. */
function idle(letter: string, more: Partial<StoredImage> = {}): StoredImage {
  return {
    digest: letter.repeat(64),
    manifest: undefined,
    bytes: 100 * MIB,
    arrivedMs: NOW_MS - 200 * DAY_MS,
    usedMs: NOW_MS - 100 * DAY_MS,
    origin: undefined,
    smoke: undefined,
    currentOf: [],
    previousOf: [],
    versionOf: [{ name: "toy", version: "1", newer: 5 }],
    heldFor: new Set(),
    machines: [],
    ...more,
  };
}

const rules: PruneRules = {
  nowMs: NOW_MS,
  olderThanMs: 30 * DAY_MS,
  budgetBytes: undefined,
  keep: 2,
  pinned: new Set(),
};

function told(images: readonly StoredImage[], more: Partial<PruneRules> = {}): string[] {
  return decide(images, { ...rules, ...more }).map(
    ({ image, goes, why }) => `${image.digest[0]} ${goes ? "goes" : "stays"}: ${why}`,
  );
}

const GOES = "a goes: older than 30 d and not used since 2030-03-07";

test("an image that nothing keeps goes", () => {
  expect(told([idle("a")])).toEqual([GOES]);
});

// Each beside the twin that is not quite kept.
test.each<[string, Partial<StoredImage>, Partial<StoredImage>]>([
  ["current of toy", { currentOf: ["toy"] }, { currentOf: [] }],
  ["previous of toy, kept to fall back to", { previousOf: ["toy"] }, { previousOf: [] }],
  ["held by a running attempt", { heldFor: new Set(["attempt"]) }, { heldFor: new Set() }],
  ["its smoke boot runs", { heldFor: new Set(["smoke", "attempt"]) }, { heldFor: new Set() }],
  ["another image is built from it", { heldFor: new Set(["build"]) }, { heldFor: new Set() }],
  ["it is being copied", { heldFor: new Set(["copy"]) }, { heldFor: new Set() }],
  ["disk of machine m-1, m-2", { machines: ["m-1", "m-2"] }, { machines: [] }],
  [
    "one of the newest 2 versions of toy",
    { versionOf: [{ name: "toy", version: "4", newer: 1 }] },
    { versionOf: [{ name: "toy", version: "3", newer: 2 }] },
  ],
])("an image stays that is %s, and its twin goes", (why, kept, twin) => {
  expect(told([idle("a", kept)])).toEqual([`a stays: ${why}`]);
  expect(told([idle("a", kept)], { budgetBytes: 0 })).toEqual([`a stays: ${why}`]);
  expect(told([idle("a", twin)])).toEqual([GOES]);
});

test("a pinned image stays, and its twin goes", () => {
  const pinned = new Set(["a".repeat(64)]);
  expect(told([idle("a"), idle("b")], { pinned })).toEqual([
    "a stays: pinned",
    GOES.replace("a", "b"),
  ]);
});

test("one that was used within the age stays, to the millisecond", () => {
  const at = NOW_MS - 30 * DAY_MS;
  expect(told([idle("a", { usedMs: at }), idle("b", { usedMs: at - 1 })])).toEqual([
    "a stays: younger than 30 d",
    "b goes: older than 30 d and not used since 2030-05-16",
  ]);
});

test("one that just came or was just used stays whatever is asked, also by a clock that was set back", () => {
  const all = { olderThanMs: 0, budgetBytes: 0, keep: 0 };
  for (const usedMs of [NOW_MS - 9 * 60_000, NOW_MS + DAY_MS])
    expect(told([idle("a", { usedMs })], all)).toEqual([
      "a stays: came or was used within ten minutes",
    ]);
  expect(told([idle("a", { usedMs: NOW_MS - 11 * 60_000 })], all)[0]).toContain("a goes");
});

test("beyond the budget the least recently used go, and no more of them than it takes", () => {
  const day = (count: number) => ({ usedMs: NOW_MS - count * DAY_MS });
  const images = [idle("a", day(1)), idle("b", day(3)), idle("c", day(2)), idle("d", day(4))];
  const budget = { olderThanMs: undefined, budgetBytes: 250 * MIB };
  expect(told(images, budget)).toEqual([
    "a stays: within the budget",
    "b goes: beyond the budget of 250 MiB: least recently used",
    "c stays: within the budget",
    "d goes: beyond the budget of 250 MiB: least recently used",
  ]);
  expect(told(images, { ...budget, budgetBytes: 400 * MIB })).toEqual(
    ["a", "b", "c", "d"].map((one) => `${one} stays: within the budget`),
  );
});

test("what goes by age counts towards the budget, and so does what stays for another reason", () => {
  const images = [
    idle("a"),
    idle("b", { currentOf: ["toy"], bytes: 300 * MIB }),
    idle("c", { usedMs: NOW_MS - DAY_MS }),
  ];
  expect(told(images, { budgetBytes: 400 * MIB })).toEqual([
    GOES,
    "b stays: current of toy",
    "c stays: younger than 30 d",
  ]);
  expect(told(images, { budgetBytes: 300 * MIB })[2]).toContain("c goes: beyond the budget");
});

test("without any limit nothing goes", () => {
  expect(told([idle("a")], { olderThanMs: undefined })).toEqual(["a stays: no limit was given"]);
});
