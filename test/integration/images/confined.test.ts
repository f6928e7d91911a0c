import { randomInt } from "node:crypto";
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { confinedArgs, runConfined } from "#host/images/inspect/confined.ts";
import { call } from "#test/kit/call.ts";
import { eventually } from "#test/kit/eventually.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const DEADLINE_MS = 60_000;
const NOBODY = 65534;
const inTime = () => AbortSignal.timeout(DEADLINE_MS);

/** Programs told apart from all others by their arguments. */
const sleeper = () => ["sleep", `1000.${randomInt(1e9)}`] as const;

async function pidOf(argv: readonly string[]): Promise<number | undefined> {
  const pids = await call("pgrep", ["-fx", argv.join(" ")]).catch(() => "");
  return pids === "" ? undefined : Number(pids.trim());
}

/** Runs a script confined as root does it, its standard input an empty file. */
async function confined(argv: readonly [string, ...string[]], signal = inTime()): Promise<string> {
  await using input = await open("/dev/null");
  return await runConfined(argv, { inputFd: input.fd, timeoutMs: DEADLINE_MS, signal });
}

/** The same as a user who is not root: nobody, here. */
function confinedAsUser(argv: readonly string[]): Promise<string> {
  const user = ["--reuid", `${NOBODY}`, "--regid", `${NOBODY}`, "--clear-groups", "--"];
  return call("setpriv", [...user, ...confinedArgs(argv, false)]);
}

const SHOW = [
  "echo uid $(id -u) $(id -g) $(id -G)",
  "cat /proc/self/limits /proc/self/status /proc/net/dev",
].join("; ");

describe.each([
  ["root", () => confined(["sh", "-c", SHOW])],
  ["a user", () => confinedAsUser(["sh", "-c", SHOW])],
] as const)("a program that %s runs confined", (_, show) => {
  let said = "";
  beforeAll(async () => {
    said = await show();
  });

  test("is nobody, with no privilege and none to gain", () => {
    expect(said).toContain(`uid ${NOBODY} ${NOBODY} ${NOBODY}\n`);
    expect(said).toMatch(/^NoNewPrivs:\s1$/m);
    expect(said).toMatch(/^CapPrm:\s0{16}$/m);
    expect(said).toMatch(/^CapEff:\s0{16}$/m);
    expect(said).toMatch(/^CapInh:\s0{16}$/m);
    expect(said).toMatch(/^CapAmb:\s0{16}$/m);
  });

  test.each([
    ["Max cpu time", "60", "seconds"],
    ["Max address space", "1073741824", "bytes"],
    ["Max file size", "0", "bytes"],
    ["Max core file size", "0", "bytes"],
    ["Max open files", "64", "files"],
  ])("has a limit: %s", (name, value, unit) => {
    expect(said).toMatch(new RegExp(`^${name} +${value} +${value} +${unit}`, "m"));
  });

  test("has no network but a loopback of its own", () => {
    const interfaces = [...said.matchAll(/^\s*([\w.-]+):(?:\s+\d+){16}\s*$/gm)].map(
      ([, name]) => name,
    );
    expect(interfaces).toEqual(["lo"]);
  });
});

test("root's program may gain nothing from a file with capabilities either", async () => {
  const said = await confined(["cat", "/proc/self/status"]);
  expect(said).toMatch(/^CapBnd:\s0{16}$/m);
});

test("reads the open file that it is given, where nobody could reach it by name", async () => {
  await using folder = await scratchFolder(); // Its mode is 0700.
  const path = join(folder.path, "file");
  await writeFile(path, "content", { mode: 0o644 });
  await using file = await open(path);
  const options = { inputFd: file.fd, timeoutMs: DEADLINE_MS, signal: inTime() };
  expect(await runConfined(["cat", "/proc/self/fd/0"], options)).toBe("content");
  await expect(runConfined(["cat", path], options)).rejects.toThrow("Permission denied");
  await expect(runConfined(["tee", "/proc/self/fd/0"], options)).rejects.toThrow(
    "Permission denied",
  );
  expect(await readFile(path, "utf8")).toBe("content");
});

test("is limited in its memory", async () => {
  const take = (bytes: number) =>
    confined(["head", "-c", `${bytes}`, "/dev/zero"]).then(() => "done");
  expect(await take(1000)).toBe("done");
  // One block of 2 GiB.
  await expect(
    confined(["dd", "if=/dev/zero", "of=/dev/null", "bs=2G", "count=1"]),
  ).rejects.toThrow("memory exhausted");
});

test("is ended when it prints without end", async () => {
  await expect(confined(["yes"])).rejects.toThrow("it printed more than 1048576 bytes");
});

test("dies when it is cancelled, with all that it started", async () => {
  const [mine, childs] = [sleeper(), sleeper()];
  const cancel = new AbortController();
  const reason = new Error("cancelled");
  const script = `${childs.join(" ")} & exec ${mine.join(" ")}`;
  const asked = confined(["sh", "-c", script], cancel.signal);
  const ended = asked.catch((error: unknown) => error);
  await eventually(
    async () => (await pidOf(mine)) !== undefined && (await pidOf(childs)) !== undefined,
    DEADLINE_MS,
  );
  cancel.abort(reason);
  expect(await ended).toBe(reason);
  await eventually(
    async () => (await pidOf(mine)) === undefined && (await pidOf(childs)) === undefined,
    DEADLINE_MS,
  );
});

test("that fails says so in its own words, and is not mistaken for a host that cannot confine", async () => {
  await expect(confined(["sh", "-c", "echo no >&2; exit 3"])).rejects.toMatchObject({
    name: "SpawnError",
    exitCode: 3,
    stderrTail: "no",
  });
  await expect(
    confined(["sh", "-c", "kill -KILL $$; kill -SEGV $$; exit 1"]),
  ).rejects.toMatchObject({
    name: "SpawnError",
  });
});
