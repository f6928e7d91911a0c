import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { metaData, userData } from "#host/guest/seed.ts";

const SAMPLE = new URL("../../fixtures/seed/", import.meta.url);
const sample = readFileSync(new URL("user-data", SAMPLE), "utf8");

/** What the sample was made of. */
const SEED = {
  name: "testbed-0123abcd-0123456789abcdef",
  login: "root",
  clientPublicKey: /- (ssh-ed25519 .*)/.exec(sample)?.[1] ?? "",
  hostPublicKey: /ed25519_public: (.*)/.exec(sample)?.[1] ?? "",
  hostPrivateKey: (/\|\n((?: {4}.*\n)+)/.exec(sample)?.[1] ?? "").replace(/^ {4}/gm, ""),
  curfewSeconds: 3660,
};

test("the seed keeps the layout that images read", () => {
  expect(userData(SEED)).toBe(sample);
  expect(metaData(SEED.name)).toBe(readFileSync(new URL("meta-data", SAMPLE), "utf8"));
});

test("a guest without a curfew is told of none, and its seed is the same but for that", () => {
  const [before] = sample.split("bootcmd:");
  expect(userData({ ...SEED, curfewSeconds: undefined })).toBe(before);
});

test("a curfew is whole seconds, rounded up, and nothing but a number goes into its command", () => {
  expect(userData({ ...SEED, curfewSeconds: 0.1 })).toContain("sleep $((1 - ");
  for (const bad of [0, -1, NaN, Infinity, "1; reboot" as never]) {
    expect(() => userData({ ...SEED, curfewSeconds: bad })).toThrow(TypeError);
  }
});

test("a curfew is one command on a line of its own, as any reader of YAML finds it", () => {
  const { bootcmd } = parse(sample) as { bootcmd: string[] };
  expect(bootcmd).toHaveLength(1);
  expect(sample).toContain(`\nbootcmd:\n  - ${bootcmd[0]}\n`);
});

test("a name or a login that is no plain one never becomes part of a seed", () => {
  for (const bad of ["", "UPPER", "a b", "a\nroot: x", "-x", "x".repeat(64), "é"]) {
    expect(() => userData({ ...SEED, name: bad })).toThrow(TypeError);
    expect(() => userData({ ...SEED, login: bad })).toThrow(TypeError);
  }
});
