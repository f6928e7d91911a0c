import { appendFileSync, renameSync } from "node:fs";
import {
  chmod,
  chown,
  copyFile,
  link,
  mkdir,
  readdir,
  readFile,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inspectDisk } from "#host/images/inspect/inspect-disk.ts";
import { call } from "#test/kit/call.ts";
import { EVIL_DISKS, type MadeDisk, PLAIN_DISKS } from "#test/kit/evil-disks.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

/** Far more than any of them takes: the longest reads a megabyte. */
const BOUND_MS = 30_000;
const VIRTUAL_BYTES_MAX = 2 ** 40;

let scratch: Awaited<ReturnType<typeof scratchFolder>>;

beforeAll(async () => {
  scratch = await scratchFolder();
  await writeFile(join(scratch.path, "canary"), "a secret of the host\n".repeat(1000));
});
afterAll(async () => scratch[Symbol.asyncDispose]());

const claimOf = ({ name, format }: MadeDisk) => ({
  path: join(scratch.path, name),
  format,
  virtualBytesMax: VIRTUAL_BYTES_MAX,
});

describe.each(EVIL_DISKS)("$name, said to be $format,", (disk) => {
  test("is refused in bounded time", async () => {
    const claim = claimOf(disk);
    await disk.make(claim.path, scratch.path);
    const startMs = performance.now();
    expect(await inspectDisk(claim, AbortSignal.timeout(BOUND_MS))).toEqual({
      refused: expect.stringContaining(disk.refused as string),
    });
    expect(performance.now() - startMs).toBeLessThan(BOUND_MS);
  });
});

describe.each(PLAIN_DISKS)("$name, said to be $format,", (disk) => {
  test("is taken, and left as it is", async () => {
    const claim = claimOf(disk);
    await disk.make(claim.path, scratch.path);
    const before = await stat(claim.path);
    const found = await inspectDisk(claim, AbortSignal.timeout(BOUND_MS));
    const said = await call("qemu-img", [
      ...["info", "--output=json", "-f", disk.format, claim.path],
    ]);
    expect(found).toEqual({ virtualBytes: JSON.parse(said)["virtual-size"] });
    const { ctimeMs, mode, size } = await stat(claim.path);
    expect({ ctimeMs, mode, size }).toEqual({
      ctimeMs: before.ctimeMs,
      mode: before.mode,
      size: before.size,
    });
  });
});

/**
 * Follows the system calls of a process that inspects them all: nothing but the files themselves is opened in their
 * folder, nothing is asked of a network, and each program that is given a disk is told its format (I-22).
 */
test("no other file is opened, no network asked, and no program left to guess a format", {
  timeout: 240_000,
}, async () => {
  const log = join(scratch.path, "calls");
  const words = [...EVIL_DISKS, ...PLAIN_DISKS].map(({ format, name }) => `${format}:${name}`);
  const calls =
    "trace=open,openat,openat2,execve,connect,bind,sendto,chown,fchownat,lchown,unlink,rename";
  const program = [process.execPath, join(ROOT, "test/kit/inspect-all.ts"), scratch.path, ...words];
  const said = await call("strace", [
    "-f",
    "-qq",
    "-s",
    "4096",
    "-o",
    log,
    "-e",
    calls,
    ...program,
  ]);
  const answers = Object.entries<object>(JSON.parse(said));
  expect(answers).toHaveLength(words.length);
  expect(answers.filter(([, answer]) => "virtualBytes" in answer)).toHaveLength(PLAIN_DISKS.length);

  const lines = (await readFile(log, "utf8")).split("\n");
  const named = new Set(words.map((word) => join(scratch.path, word.replace(/^\w+:/, ""))));
  const opened = lines.flatMap(
    (line) => /open(?:at2?)?\((?:AT_FDCWD, )?"([^"]*)"/.exec(line)?.[1] ?? [],
  );
  expect(opened.filter((path) => named.has(path))).toHaveLength(words.length);
  expect(opened.filter((path) => path.startsWith(scratch.path) && !named.has(path))).toEqual([]);
  expect(opened.filter((path) => /^\/etc\/os-release|^\/dev\/sd|chain-/.test(path))).toEqual([]);
  expect(lines.filter((line) => /AF_INET/.test(line))).toEqual([]);
  expect(lines.filter((line) => /\b(chown|fchownat|lchown|unlink|rename)\(/.test(line))).toEqual(
    [],
  );

  const given = lines.filter(
    (line) => /execve\("[^"]*qemu-(img|io|nbd)"/.test(line) && / = 0$/.test(line),
  );
  expect(given.length).toBeGreaterThan(PLAIN_DISKS.length);
  for (const line of given)
    expect(line).toMatch(/, "-f", "(qcow2|raw)", "--", "\/proc\/self\/fd\/0"\]/);
});

describe("the file that is judged", () => {
  const plain = async (folder: string) => {
    const path = join(folder, "disk");
    await PLAIN_DISKS[1]?.make(path, folder);
    return { path, format: "qcow2", virtualBytesMax: VIRTUAL_BYTES_MAX } as const;
  };

  test("may lie where nobody else can pass", async () => {
    await using folder = await scratchFolder();
    const closed = join(folder.path, "closed");
    await mkdir(closed, { mode: 0o700 });
    expect(await inspectDisk(await plain(closed), AbortSignal.timeout(BOUND_MS))).toEqual({
      virtualBytes: 2 ** 26,
    });
    expect(await readdir(closed)).toEqual(["disk"]);
  });

  test("is what its source says", async () => {
    await using folder = await scratchFolder();
    const claim = await plain(folder.path);
    const ask = (virtualBytes: number) =>
      inspectDisk({ ...claim, virtualBytes }, AbortSignal.timeout(BOUND_MS));
    expect(await ask(2 ** 26)).toEqual({ virtualBytes: 2 ** 26 });
    expect(await ask(2 ** 25)).toEqual({
      refused: "has a virtual size of 67108864 bytes, not of 33554432",
    });
  });

  test.each([
    ["swapped", (path: string) => renameSync(`${path}.other`, path)],
    ["written to", (path: string) => appendFileSync(path, "x")],
  ])("and is %s meanwhile is refused", async (_, change) => {
    await using folder = await scratchFolder();
    const claim = await plain(folder.path);
    await copyFile(claim.path, `${claim.path}.other`);
    let isChanged = false;
    // What the source says is read when the file was opened and before it is looked at again.
    const changing = {
      ...claim,
      get virtualBytes() {
        if (!isChanged) change(claim.path);
        isChanged = true;
        return 2 ** 26;
      },
    };
    expect(await inspectDisk(changing, AbortSignal.timeout(BOUND_MS))).toEqual({
      refused: "was changed while it was inspected",
    });
  });

  test("may have two names when it is the store's, where nobody writes", async () => {
    await using folder = await scratchFolder();
    const claim = await plain(folder.path);
    await link(claim.path, `${claim.path}.other`);
    await chmod(claim.path, 0o444);
    const ask = () => inspectDisk(claim, AbortSignal.timeout(BOUND_MS));
    expect(await ask()).toEqual({ virtualBytes: 2 ** 26 });
    await chown(claim.path, 1, 1);
    expect(await ask()).toEqual({ refused: expect.stringContaining("has 2 names") });
  });

  test("that only its owner may read is not judged, and not refused either", async () => {
    await using folder = await scratchFolder();
    const claim = await plain(folder.path);
    await chmod(claim.path, 0o600);
    await expect(inspectDisk(claim, AbortSignal.timeout(BOUND_MS))).rejects.toMatchObject({
      code: "host-path-closed",
      message: expect.stringContaining("chmod a+r"),
    });
  });

  test("is not judged when nobody waits for it", async () => {
    await using folder = await scratchFolder();
    const claim = await plain(folder.path);
    const reason = new Error("cancelled");
    await expect(inspectDisk(claim, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

test("a host that cannot confine a program judges nothing", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "disk");
  await PLAIN_DISKS[1]?.make(path, folder.path);
  const program = [
    process.execPath,
    join(ROOT, "test/kit/inspect-all.ts"),
    folder.path,
    "qcow2:disk",
  ];
  const inspected = (...words: string[]) => call("setpriv", [...words, "--", ...program]);
  expect(JSON.parse(await inspected())).toEqual({ "qcow2:disk": { virtualBytes: 2 ** 26 } });
  await expect(inspected("--bounding-set=-sys_admin", "--inh-caps=-sys_admin")).rejects.toThrow(
    /this host cannot run a program confined.*unshare failed/,
  );
});
