import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { type AccessWishes, readServiceAccess } from "#config/contexts.ts";
import { parseServiceAddress } from "#config/service-address.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

let home: string;

beforeEach(async () => {
  const folder = await scratchFolder();
  onTestFinished(async () => await folder[Symbol.asyncDispose]());
  home = folder.path;
  await mkdir(join(home, ".config/testbed"), { recursive: true });
  for (const name of ["one", "two", "given"])
    await writeFile(join(home, name), `testbed_${name}\n`, { mode: 0o600 });
  await write({
    current: "one",
    contexts: {
      one: { service: "https://one.example", tokenFile: join(home, "one") },
      two: { service: "unix:/run/two.sock", tokenFile: join(home, "two") },
      bare: { service: "http://127.0.0.1:8420" },
    },
  });
});

async function write(content: object): Promise<void> {
  const path = join(home, ".config/testbed/config.yaml");
  await writeFile(path, JSON.stringify(content), { mode: 0o600 });
}

function read(wishes: AccessWishes, environment: Record<string, string> = {}) {
  return readServiceAccess(wishes, { HOME: home, ...environment });
}

const given = () => ({ TESTBED_TOKEN_FILE: join(home, "given") });
const URL_ = "https://other.example:1";

test.each<[string, AccessWishes, Record<string, string>, string, string]>([
  ["the file's current context", {}, {}, "https://one.example", "testbed_one"],
  ["a context by flag", { context: "two" }, {}, "unix:/run/two.sock", "testbed_two"],
  ["a context by environment", {}, { TESTBED_CONTEXT: "two" }, "unix:/run/two.sock", "testbed_two"],
  ["a service by environment", {}, { TESTBED_SERVICE: URL_, TESTBED_TOKEN: "t" }, URL_, "t"],
  ["a service by flag", { service: URL_ }, { TESTBED_TOKEN: " t\n" }, URL_, "t"],
  [
    "a flag before the environment",
    { context: "two" },
    { TESTBED_SERVICE: URL_, TESTBED_TOKEN: "t" },
    "unix:/run/two.sock",
    "testbed_two",
  ],
  ["the environment's token first", {}, { TESTBED_TOKEN: "t" }, "https://one.example", "t"],
  [
    "the environment's token for who has none",
    { context: "bare" },
    { TESTBED_TOKEN: "t" },
    "http://127.0.0.1:8420",
    "t",
  ],
])("%s", async (_, wishes, environment, service, token) => {
  expect(await read(wishes, environment)).toMatchObject({ service, token });
});

test("a token file of the environment, and a socket as a target", async () => {
  expect(await read({ context: "bare" }, given())).toMatchObject({ token: "testbed_given" });
  expect((await read({ context: "two" }))?.target.socketPath).toBe("/run/two.sock");
});

test("without a name there is no service, and none without a home", async () => {
  await write({ contexts: {} });
  expect(await read({})).toBeUndefined();
  expect(await readServiceAccess({}, {})).toBeUndefined();
});

test.each<[string, AccessWishes, Record<string, string>, string]>([
  ["two flags", { service: URL_, context: "one" }, {}, "give one of them"],
  ["two variables", {}, { TESTBED_SERVICE: URL_, TESTBED_CONTEXT: "one" }, "set one of them"],
  ["two tokens", { service: URL_ }, { ...{ TESTBED_TOKEN: "t", TESTBED_TOKEN_FILE: "/x" } }, "two"],
  ["no token for a service", { service: URL_ }, {}, "needs a token"],
  ["no token for a context", { context: "bare" }, {}, "there is no token for it"],
  ["an address with a user", { service: "https://ada:pw@x" }, { TESTBED_TOKEN: "t" }, "--service"],
  ["no such context", { context: "oen" }, {}, "no context 'oen'"],
  ["a token with spaces", { service: URL_ }, { TESTBED_TOKEN: "a b" }, "one line, no spaces"],
])("%s is refused", async (_, wishes, environment, says) => {
  const error = (await read(wishes, environment).catch((thrown: unknown) => thrown)) as Error;
  expect(error).toMatchObject({ name: "ConfigError", message: expect.stringContaining(says) });
  expect(error.message).not.toContain("a b");
});

test("a token that others may read, and a file that others may change, are refused with the chmod", async () => {
  await chmod(join(home, "one"), 0o640);
  await expect(read({})).rejects.toThrow(/one: may be read or changed by others.*chmod 0600/);
  await chmod(join(home, "one"), 0o600);
  await chmod(join(home, ".config/testbed/config.yaml"), 0o620);
  await expect(read({})).rejects.toThrow(/config\.yaml: may be changed by others; chmod 600 /);
});

test("ca is read for https alone", async () => {
  const tokenFile = join(home, "one");
  const ca = join(home, "ca.pem");
  await writeFile(ca, "PEM");
  await write({ current: "a", contexts: { a: { service: "https://a", tokenFile, ca } } });
  expect((await read({}))?.target.ca).toBe("PEM");
  await write({ current: "a", contexts: { a: { service: "http://a", tokenFile, ca } } });
  await expect(read({})).rejects.toThrow("is not https");
});

test.each([
  ["https://jobs.example", true],
  ["http://[::1]:8420/below", true],
  ["unix:/run/x.sock", true],
  ["jobs.example:8420", false],
  ["https://", false],
  ["https://a?token=b", false],
  ["https://a#b", false],
  ["https://a:99999999", false],
  ["ftp://a", false],
  ["unix:relative", false],
])("%s is a service's address: %s", (text, is) => {
  expect(parseServiceAddress(text) !== undefined).toBe(is);
});
