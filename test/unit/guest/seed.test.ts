import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { metaData, type Seed, userData } from "#host/guest/seed.ts";
import { run } from "#lib/spawn.ts";

const SAMPLE = new URL("../../fixtures/seed/", import.meta.url);
const sample = readFileSync(new URL("user-data", SAMPLE), "utf8");

/** What the sample was made of. */
const SEED: Seed = {
  kind: "nocloud",
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

const DISTRIBUTION: Seed = { ...SEED, kind: "cloud-init", login: "debian" };

type UserData = {
  readonly disable_root?: boolean;
  readonly users: readonly unknown[];
  readonly bootcmd: readonly string[];
};

test("a distribution's image makes its own user, which is the login, and keeps its word on root", () => {
  const { disable_root, users } = parse(userData(DISTRIBUTION)) as UserData;
  expect(disable_root).toBeUndefined();
  const ssh_authorized_keys = [SEED.clientPublicKey];
  expect(users).toEqual(["default", { name: "debian", lock_passwd: false, ssh_authorized_keys }]);
});

test("root is let in where root is the login", () => {
  const { disable_root, users } = parse(userData({ ...DISTRIBUTION, login: "root" })) as UserData;
  expect(disable_root).toBe(false);
  expect(users).toMatchObject(["default", { name: "root" }]);
});

test("a distribution's image is told to say when it has settled, with a curfew and without; the runner's folder is for who is not root", () => {
  const commandsOf = (more: Partial<Seed>) => {
    const text = userData({ ...DISTRIBUTION, ...more });
    const { bootcmd } = parse(text) as UserData;
    // One line for each, as everything in a seed.
    expect(text).toContain(`\nbootcmd:\n${bootcmd.map((line) => `  - ${line}\n`).join("")}`);
    return bootcmd.map((line) => /poweroff|testbed-settled|chown \w+/.exec(line)?.[0]);
  };
  expect(commandsOf({})).toEqual(["poweroff", "chown debian", "testbed-settled"]);
  expect(commandsOf({ login: "root" })).toEqual(["poweroff", "testbed-settled"]);
  expect(commandsOf({ curfewSeconds: undefined })).toEqual(["chown debian", "testbed-settled"]);
});

test("an image made for testbed is told of none of that, whoever logs in", () => {
  expect(userData({ ...SEED, login: "debian" })).toBe(
    sample.replace("- name: root", "- name: debian"),
  );
});

test("every command at boot is shell", async () => {
  const { bootcmd } = parse(userData(DISTRIBUTION)) as UserData;
  for (const line of bootcmd) await run("sh", ["-n", "-c", line], { timeoutMs: 5_000 });
});
