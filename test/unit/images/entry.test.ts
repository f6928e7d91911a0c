import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  digestIn,
  type Entry,
  parseEntry,
  versionsOf,
  withoutDigests,
  withVersion,
} from "#host/images/store/entry.ts";
import { ROOT } from "#test/kit/house.ts";

const [ONE, TWO, THREE] = ["1", "2", "3"].map((digit) => digit.repeat(64)) as [
  string,
  string,
  string,
];

const entry: Entry = {
  schema: 2,
  current: TWO,
  previous: ONE,
  recipe: "a".repeat(64),
  versions: { "1": ONE, "2": TWO },
  order: ["1", "2"],
};

test("an entry that testbed 0.2.0 wrote is read as one of today", () => {
  const text = readFileSync(join(ROOT, "test/fixtures/state/names-0.2.0.json"), "utf8");
  const { schema: _, ...rest } = JSON.parse(text);
  expect(parseEntry(text)).toEqual({ ...rest, schema: 2 });
});

test("an entry of today is read as it was written, with a recipe or without", () => {
  const { recipe: _, ...imported } = entry;
  for (const one of [entry, imported]) expect(parseEntry(JSON.stringify(one))).toEqual(one);
});

test.each([
  "",
  "{",
  "[]",
  "null",
  '{"schema":1,"current":"../../etc","recipe":"x","packages":{},"versions":{}}',
  JSON.stringify({ ...entry, schema: 3 }),
  JSON.stringify({ ...entry, more: 1 }),
  JSON.stringify({ ...entry, versions: { "../1": ONE } }),
])("%j is no entry", (text) => {
  expect(parseEntry(text)).toBeUndefined();
});

test("a new version becomes the newest, and what the name meant before is kept", () => {
  const first = withVersion(undefined, "1", { digest: ONE, isCurrent: true });
  expect(first).toEqual({ schema: 2, current: ONE, versions: { "1": ONE }, order: ["1"] });
  const second = withVersion(first, "2", { digest: TWO, isCurrent: true });
  expect(second).toMatchObject({ current: TWO, previous: ONE });
  const rebuilt = withVersion(second, "1", { digest: THREE, isCurrent: false });
  expect(rebuilt).toMatchObject({ current: TWO, previous: ONE });
  expect(versionsOf(rebuilt)).toEqual([
    ["2", TWO],
    ["1", THREE],
  ]);
});

test("another image is not what the recipe made; the same one, or one beside it, leaves that as it is", () => {
  const other = withVersion(entry, "3", { digest: THREE, isCurrent: true });
  expect(other).toMatchObject({ current: THREE, previous: TWO });
  expect(other.recipe).toBeUndefined();
  for (const [digest, isCurrent] of [
    [TWO, true],
    [THREE, false],
  ] as const)
    expect(withVersion(entry, "3", { digest, isCurrent }).recipe).toBe(entry.recipe);
});

test("a version is only what was written as one", () => {
  expect(digestIn(entry, "1")).toBe(ONE);
  for (const version of ["3", "constructor", "__proto__"])
    expect(digestIn(entry, version)).toBeUndefined();
  expect(digestIn(undefined, "1")).toBeUndefined();
});

test("the same image again does not become what the name meant before", () => {
  expect(withVersion(entry, "2", { digest: TWO, isCurrent: true })).toMatchObject({
    current: TWO,
    previous: ONE,
  });
});

test.each<[string, string[], Partial<Entry> | undefined]>([
  ["nothing", [], entry],
  [
    "what it meant before",
    [ONE],
    { current: TWO, versions: { "2": TWO }, order: ["2"], recipe: "a".repeat(64) },
  ],
  ["what it means", [TWO], { current: ONE, versions: { "1": ONE }, order: ["1"] }],
  ["all of it", [ONE, TWO], undefined],
])("an entry of which %s is gone means what is left", (_, gone, expected) => {
  const left = withoutDigests(entry, (digest) => gone.includes(digest));
  if (expected === undefined) expect(left).toBeUndefined();
  else expect(left).toEqual({ schema: 2, ...expected });
});
