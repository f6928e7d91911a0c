import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const CHILD = join(ROOT, "test/kit/log-child.ts");

let folder: string;
beforeEach(async () => {
  const scratch = await scratchFolder();
  onTestFinished(async () => await scratch[Symbol.asyncDispose]());
  folder = scratch.path;
});

type Logging = {
  readonly child: ChildProcessWithoutNullStreams;
  /** What the process says next on standard output. */
  report(): Promise<Record<string, number>>;
};

/** A process that logs so many lines to a descriptor, or to a socket of its own that nobody reads. */
function logging(lines: number, stderr: "pipe" | number): Logging {
  const stdio = ["pipe", "pipe", stderr] as const;
  const child = spawn(process.execPath, [CHILD, String(lines)], {
    stdio: [...stdio],
  }) as ChildProcessWithoutNullStreams;
  onTestFinished(() => void child.kill("SIGKILL"));
  const said = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const report = async () =>
    JSON.parse((await said.next()).value ?? "{}") as Record<string, number>;
  return { child, report };
}

/** A FIFO of which nobody reads until it is read here. Two descriptions: a process that ends may make its own wait. */
function openFifo(): { readonly writer: number; readonly reader: number } {
  const path = join(folder, "fifo");
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  onTestFinished(() => {
    closeSync(reader);
    closeSync(writer);
  });
  return { writer, reader };
}

/** What lies in a FIFO now. */
function drain(fifo: number): string {
  const buffer = Buffer.alloc(1024 * 1024);
  try {
    return buffer.toString("latin1", 0, readSync(fifo, buffer));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return "";
    throw error;
  }
}

function parsed(log: string): { msg: string; line?: number; lines?: number }[] {
  const lines = log.trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as { msg: string });
}

test("every line of a burst below a mebibyte is there, whole and in order", async () => {
  const { child, report } = logging(3_000, "pipe");
  const said = text(child.stderr);
  await report();
  child.stdin.end();
  const lines = parsed(await said);
  expect(lines.map(({ line }) => line)).toEqual(Array.from({ length: 3_000 }, (_, at) => at));
});

test.each([
  ["pipe", () => openFifo().writer],
  ["socket, such as journald's,", () => "pipe" as const],
])(
  "a %s that nobody reads costs neither time nor memory, and the process ends soon",
  async (_, open) => {
    const { child, report } = logging(100_000, open());
    const { delayMs, rssMiB } = await report();
    // 25 MB of lines; the process alone takes some 60.
    expect(rssMiB).toBeLessThan(110);
    expect(delayMs).toBeLessThan(500);
    const ended = once(child, "exit");
    child.stdin.end();
    expect((await report())["closeMs"]).toBeLessThan(3_000);
    await ended;
  },
);

test("lines that were left out are counted, once there is room again", async () => {
  const { writer, reader } = openFifo();
  const { child, report } = logging(40_000, writer);
  await report();
  let said = "";
  await eventually(() => {
    said += drain(reader);
    return said.includes("left out");
  }, 10_000);
  child.stdin.end();
  await report();
  const lines = parsed(said + drain(reader));
  const [dropped] = lines.filter(({ msg }) => msg === "log lines left out");
  expect(dropped?.lines).toBeGreaterThan(10_000);
  expect(lines.length - 1 + (dropped?.lines ?? 0)).toBe(40_000);
});

test("a file takes everything", async () => {
  const path = join(folder, "log");
  const fd = openSync(path, "w");
  const { child, report } = logging(5_000, fd);
  closeSync(fd);
  await report();
  child.stdin.end();
  await report();
  expect(parsed(readFileSync(path, "utf8"))).toHaveLength(5_000);
});
