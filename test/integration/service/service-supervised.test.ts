import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { PATH } from "#test/kit/command.ts";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT } from "#test/kit/house.ts";
import { NotifyListener } from "#test/kit/notify-listener.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const MAIN = join(ROOT, "src/main.ts");
const START_MS = 20_000;
const WATCHDOG_MS = 1_500;
const STOP_MS = 10_000;

let folder: string;
beforeEach(async () => {
  const scratch = await scratchFolder();
  onTestFinished(async () => await scratch[Symbol.asyncDispose]());
  folder = scratch.path;
});

/** The job service as systemd starts it, but for the stand-in that hears its messages. */
async function startSupervised(env: Record<string, string> = {}, ...args: string[]) {
  const socket = join(folder, "notify");
  const listener = await NotifyListener.open(socket);
  onTestFinished(async () => await listener[Symbol.asyncDispose]());
  const state = join(folder, "jobs");
  const command = [MAIN, "service", "--state", state, "--listen", "127.0.0.1:0", ...args];
  const child = spawn(process.execPath, command, {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH, HOME: folder, NOTIFY_SOCKET: socket, ...env },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return { listener, child, state };
}

async function stop(child: ChildProcess): Promise<{ code: number | null; tookMs: number }> {
  const begunMs = performance.now();
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const [code] = (await ended) as [number | null];
  return { code, tookMs: performance.now() - begunMs };
}

function isAnswering(socketPath: string): Promise<boolean> {
  const asking = request({ socketPath, path: "/healthz", agent: false });
  asking.end();
  return new Promise((resolve) => {
    asking.on("response", (answer) => resolve(text(answer).then((said) => said === "alive\n")));
    asking.on("error", () => resolve(false));
  });
}

test("systemd hears of the start, of life while there is some, and of the stop, in that order", async () => {
  const watchdog = { WATCHDOG_USEC: String(WATCHDOG_MS * 1000) };
  const { listener, child, state } = await startSupervised(watchdog);
  await eventually(() => listener.count("READY=1") === 1, START_MS);
  expect(await isAnswering(join(state, "service.sock"))).toBe(true);
  expect(listener.words.slice(0, 2)).toEqual(["READY=1", `STATUS=serving, state in ${state}`]);
  await eventually(() => listener.count("WATCHDOG=1") >= 3, 10 * WATCHDOG_MS);
  // A process whose event loop stands still says nothing until systemd has had enough of it.
  child.kill("SIGSTOP");
  await eventually(() => performance.now() - lastMs(listener) > WATCHDOG_MS, 10 * WATCHDOG_MS);
  const before = listener.count("WATCHDOG=1");
  child.kill("SIGCONT");
  await eventually(() => listener.count("WATCHDOG=1") > before, 10 * WATCHDOG_MS);
  const { code, tookMs } = await stop(child);
  expect(code).toBe(0);
  expect(tookMs).toBeLessThan(STOP_MS);
  expect(listener.words.slice(-2)).toEqual(["STOPPING=1", "STATUS=stopping"]);
  expect(listener.count("READY=1")).toBe(1);
});

function lastMs({ messages }: NotifyListener): number {
  return messages.at(-1)?.atMs ?? 0;
}

test("a start that fails says why, is never ready, and exits as a mistake does", async () => {
  // RFC 5737: no address of any machine.
  const { listener, child } = await startSupervised({}, "--plain-http", "--listen", "192.0.2.1:1");
  const said = text(child.stderr as NodeJS.ReadableStream);
  const [code] = (await once(child, "exit")) as [number | null];
  expect(code).toBe(2);
  expect(await said).toMatch(/^cannot listen on 192\.0\.2\.1:1: .*EADDRNOTAVAIL/m);
  expect(listener.words).toEqual([]);
});

test("the log is one JSON object a line, from the start to the stop", async () => {
  const { listener, child } = await startSupervised();
  const said = text(child.stderr as NodeJS.ReadableStream);
  await eventually(() => listener.count("READY=1") === 1, START_MS);
  await stop(child);
  expect(listener.count("WATCHDOG=1")).toBe(0);
  const lines = (await said).trimEnd().split("\n");
  const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  expect(messages.slice(0, 3)).toEqual(["starting", "opening", "listening"]);
  expect(messages.slice(-3)).toEqual(["ready", "stopping", "stopped"]);
});

test("a journal that nobody reads holds up neither the service nor its stop", async () => {
  const { listener, child, state } = await startSupervised();
  await eventually(() => listener.count("READY=1") === 1, START_MS);
  expect(await isAnswering(join(state, "service.sock"))).toBe(true);
  const { code, tookMs } = await stop(child);
  expect({ code, isSoon: tookMs < STOP_MS }).toEqual({ code: 0, isSoon: true });
});
