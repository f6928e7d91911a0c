import { expect, test } from "vitest";
import {
  parseRequirementKey,
  type Requirement,
  requirementKey,
} from "#service/matching/requirement.ts";

const PLAIN: Requirement = {
  image: { name: "micro" },
  cpus: 1,
  memoryMiB: undefined,
  diskMiB: undefined,
  labels: [],
  avoid: [],
};

const DIFFERENT: readonly Requirement[] = [
  PLAIN,
  { ...PLAIN, image: { name: "micro", version: "1" } },
  { ...PLAIN, image: { name: "micro", digest: "1" } },
  { ...PLAIN, cpus: 2 },
  { ...PLAIN, memoryMiB: 2 },
  { ...PLAIN, diskMiB: 2 },
  { ...PLAIN, labels: ["a", "b"] },
  { ...PLAIN, labels: ["a,b"] },
  { ...PLAIN, avoid: ["a", "b"] },
];

test("a requirement comes back from its key", () => {
  for (const one of DIFFERENT) expect(parseRequirementKey(requirementKey(one))).toEqual(one);
});

test("different requirements have different keys", () => {
  expect(new Set(DIFFERENT.map(requirementKey)).size).toBe(DIFFERENT.length);
});
