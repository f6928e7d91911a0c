import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { eventually } from "#test/kit/eventually.ts";
import type { NotifyListener } from "#test/kit/notify-listener.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { startSupervised } from "#test/kit/supervised.ts";

const START_MS = 20_000;
const WATCHDOG_MS = 1_500;
const STOP_MS = 10_000;

let folder: string;
beforeEach(async () => {
  const scratch = await scratchFolder();
  onTestFinished(async () => await scratch[Symbol.asyncDispose]());
  folder = scratch.path;
});

/** What runs for months: how it is started, what it says when it is ready, and how it is seen to answer. */
const KINDS = {
  service: {
    args: () => ["service", "--state", join(folder, "s"), "--listen", "127.0.0.1:0"],
    status: /^STATUS=serving, state in /,
    socket: () => join(folder, "s/service.sock"),
    path: "/healthz",
  },
  daemon: {
    args: () => ["daemon", "--config", join(folder, "daemon.yaml")],
    status: /^STATUS=\S+ is holding; 0 attempts; /,
    socket: () => join(folder, "s/daemon.sock"),
    path: "/v1/status",
  },
};

/** libvirt is away, so a daemon takes no work; that is no reason not to be up. */
async function start(kind: keyof typeof KINDS, more: readonly string[] = [], env = {}) {
  const settings = join(folder, "service.yaml");
  await writeFile(settings, "listen: []\n");
  await writeFile(join(folder, "daemon.yaml"), `serviceConfig: ${settings}\n`);
  const away = `test:///default?socket=${folder}/none`;
  return startSupervised(folder, [...KINDS[kind].args(), ...more], {
    env: { TESTBED_STATE: join(folder, "s"), TESTBED_LIBVIRT: away, ...env },
  });
}

function ask(socketPath: string, path: string): Promise<number | undefined> {
  const asking = request({ socketPath, path, agent: false });
  asking.end();
  return new Promise((resolve) => {
    asking.on("response", (answer) => resolve(text(answer).then(() => answer.statusCode)));
    asking.on("error", () => resolve(undefined));
  });
}

function lastMs({ messages }: NotifyListener): number {
  return messages.at(-1)?.atMs ?? 0;
}

describe.each(Object.keys(KINDS) as (keyof typeof KINDS)[])("testbed %s", (kind) => {
  const { status, socket, path } = KINDS[kind];

  test("systemd hears of the start, of life while there is some, and of the stop, in order", async () => {
    const { child, listener, stop } = await start(kind, [], {
      WATCHDOG_USEC: String(WATCHDOG_MS * 1000),
    });
    await eventually(() => listener.count("READY=1") === 1, START_MS);
    expect(await ask(socket(), path)).toBe(200);
    expect(listener.words.slice(0, 2)).toEqual(["READY=1", expect.stringMatching(status)]);
    await eventually(() => listener.count("WATCHDOG=1") >= 3, 10 * WATCHDOG_MS);
    // A process whose event loop stands still says nothing until systemd has had enough of it.
    child.kill("SIGSTOP");
    await eventually(() => performance.now() - lastMs(listener) > WATCHDOG_MS, 10 * WATCHDOG_MS);
    const before = listener.count("WATCHDOG=1");
    child.kill("SIGCONT");
    await eventually(() => listener.count("WATCHDOG=1") > before, 10 * WATCHDOG_MS);
    const { code, tookMs } = await stop();
    expect({ code, isSoon: tookMs < STOP_MS }).toEqual({ code: 0, isSoon: true });
    expect(listener.lastWords).toEqual(["STOPPING=1", "STATUS=stopping"]);
    expect(listener.count("READY=1")).toBe(1);
  });

  test("the log is one JSON object a line, from the start to the stop; no watchdog is fed unasked", async () => {
    const { child, listener, stop } = await start(kind);
    const said = text(child.stderr as NodeJS.ReadableStream);
    await eventually(() => listener.count("READY=1") === 1, START_MS);
    await stop();
    const lines = (await said).trimEnd().split("\n");
    const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(messages.slice(0, 3)).toEqual(["starting", "opening", "listening"]);
    expect(messages).toContain("ready");
    expect(messages).toContain("stopping");
    expect(messages.at(-1)).toBe("stopped");
    expect(listener.count("WATCHDOG=1")).toBe(0);
  });

  test("a journal that nobody reads holds up neither the process nor its stop", async () => {
    const { listener, stop } = await start(kind);
    await eventually(() => listener.count("READY=1") === 1, START_MS);
    expect(await ask(socket(), path)).toBe(200);
    const { code, tookMs } = await stop();
    expect({ code, isSoon: tookMs < STOP_MS }).toEqual({ code: 0, isSoon: true });
  });
});

test("a start that fails says why, is never ready, and exits as a mistake does", async () => {
  // RFC 5737: no address of any machine.
  const more = ["--plain-http", "--listen", "192.0.2.1:1"];
  const { child, listener } = await start("service", more);
  const said = text(child.stderr as NodeJS.ReadableStream);
  const [code] = (await once(child, "exit")) as [number | null];
  expect(code).toBe(2);
  expect(await said).toMatch(/^cannot listen on 192\.0\.2\.1:1: .*EADDRNOTAVAIL/m);
  expect(listener.words).toEqual([]);
});
