import { once } from "node:events";
import { mkdir, stat } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { NotAsAsked, openLocalApi } from "#host/api/local-api.ts";
import { askSocket } from "#test/kit/ask-socket.ts";
import { command, PATH } from "#test/kit/command.ts";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

let state: string;
let socket: string;
const said: unknown[] = [];

const STATUS = {
  host: "lab-1",
  state: "draining",
  why: "new disk",
  capacity: { slots: 4, cpus: 8, memoryMiB: 8192, diskMiB: 100_000 },
  free: { slots: 0, cpus: 8, memoryMiB: 4096, diskMiB: 90_000 },
  acceleration: "kvm",
  serviceTrouble: "https://jobs.example refuses connections",
  attempts: [
    {
      jobId: "a".repeat(16),
      attempt: 1,
      phase: "booting",
      state: "running",
      begunAt: "2030-01-02T03:04:05.678Z",
    },
  ],
};

beforeEach(async () => {
  const scratch = await scratchFolder();
  onTestFinished(() => scratch[Symbol.asyncDispose]());
  state = join(scratch.path, "state");
  await mkdir(state);
  socket = join(state, "daemon.sock");
  said.length = 0;
  const api = await openLocalApi(socket, {
    status: async () => STATUS,
    drain: async (body: object) => {
      said.push(body);
      return STATUS;
    },
    resume: async () => ({ ...STATUS, state: "working" }),
    machines: async () => ({ machines: [] }),
    metrics: async () => "# TYPE testbed_attempts_running gauge\ntestbed_attempts_running 1\n",
    images: async () => {
      throw new Error("the store is gone");
    },
    imagesStored: async () => ({ images: [] }),
    imagesShow: async () => {
      throw new NotAsAsked("no image of that name is here");
    },
    imagesFetch: async (body: object) => body,
    imagesSmoke: async (_: object, signal: AbortSignal) => {
      said.push("begun");
      await once(signal, "abort");
      said.push((signal.reason as Error).message);
      return {};
    },
    imagesRefresh: async (body: object) => body,
    imagesVerify: async (body: object) => body,
    imagesPrune: async (body: object) => body,
  });
  onTestFinished(() => api[Symbol.asyncDispose]());
});

const ask = (method: string, path: string, body?: string) =>
  askSocket(socket, [method, path], body);

const testbed = (...args: string[]) =>
  command(join(ROOT, "bin/testbed"), ["host", ...args, "--state", state], {
    env: { PATH, HOME: "/root", NO_COLOR: "1" },
  });

test("the socket is for its owner and group", async () => {
  expect((await stat(socket)).mode & 0o777).toBe(0o660);
});

test.for([
  ["GET", "/v1/nothing", undefined, 404],
  ["POST", "/v1/status", undefined, 404],
  ["POST", "/v1/drain", "{", 400],
  ["POST", "/v1/drain", '{"wy": "x"}', 422],
  ["POST", "/v1/drain", '{"why": "two\\nlines"}', 422],
  ["POST", "/v1/drain", `{"why": "${"x".repeat(20_000)}"}`, 400],
  ["GET", "/v1/images", undefined, 500],
  ["POST", "/v1/images/show", '{"image": "nobody"}', 422],
  ["POST", "/v1/images/show", "{}", 422],
  ["POST", "/v1/images/fetch", '{"image": "../x"}', 422],
  ["POST", "/v1/images/refresh", '{"images": "micro"}', 422],
  ["POST", "/v1/images/prune", '{"keep": 0}', 422],
] as const)(
  "%s %s with %j is refused with a reason, and changes nothing",
  async ([method, path, body, status]) => {
    expect(await ask(method, path, body)).toMatchObject({
      status,
      json: { detail: expect.stringMatching(/./) },
    });
    expect(said).toEqual([]);
  },
);

test("what takes long stops when who asked hangs up", async () => {
  const asking = request({
    socketPath: socket,
    method: "POST",
    path: "/v1/images/smoke",
    agent: false,
  });
  asking.on("error", () => undefined);
  asking.end('{"image": "micro"}');
  await eventually(() => said.includes("begun"), 10_000);
  asking.destroy();
  await eventually(() => said.length === 2, 10_000);
  expect(said).toEqual(["begun", "who asked has hung up"]);
});

test("people see what the daemon does, programs too", async () => {
  const shown = await testbed("status");
  expect(shown).toMatchObject({ exitCode: 0, stderr: "" });
  expect(shown.stdout).toBe(
    [
      "host      lab-1: draining: new disk",
      "service   away: https://jobs.example refuses connections",
      "runs with kvm",
      "free      0 machines, 8 CPUs, 4.0 GiB of memory, 87.9 GiB of disk",
      "of        4 machines, 8 CPUs, 8.0 GiB of memory, 97.7 GiB of disk",
      `attempt   ${"a".repeat(16)} 1: booting, since 2030-01-02T03:04:05.678Z`,
      "",
    ].join("\n"),
  );
  expect(JSON.parse((await testbed("status", "--json")).stdout)).toEqual(STATUS);
  expect((await testbed("drain", "--why", "new disk")).exitCode).toBe(0);
  expect(said).toEqual([{ why: "new disk" }]);
  expect((await testbed("resume")).stdout).toMatch(/^host +lab-1: working/);
  expect((await testbed("machines")).stdout).toBe("There are no machines.\n");
});

test("numbers are text at the path where Prometheus looks, and what the command prints", async () => {
  const shown = await testbed("metrics");
  expect(shown).toMatchObject({ exitCode: 0, stderr: "" });
  expect(shown.stdout).toMatch(/^# TYPE testbed_attempts_running gauge\n/);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  request({ socketPath: socket, path: "/metrics", agent: false }, (answer) => {
    expect(answer.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    text(answer).then(resolve, reject);
  })
    .on("error", reject)
    .end();
  expect(await promise).toBe(shown.stdout);
});

test("what goes wrong is said with what to try", async () => {
  expect(await testbed("images")).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("the daemon refused: the store is gone"),
  });
  const nobody = await command(
    join(ROOT, "bin/testbed"),
    ["host", "status", "--state", "/nowhere"],
    {
      env: { PATH, HOME: "/root" },
    },
  );
  expect(nobody).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/no daemon answers on this host.*\n.*testbed daemon --config/),
  });
});

test.skipIf(process.getuid?.() !== 0)(
  "whoever may not use the socket is told so, and not that there is no daemon",
  async () => {
    const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    const shown = await command(
      "setpriv",
      [...nobody, join(ROOT, "bin/testbed"), "host", "status", "--state", state],
      { env: { PATH, HOME: "/" } },
    );
    expect(shown).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/socket is for its own user and group.*\(EACCES\)/),
    });
  },
);
