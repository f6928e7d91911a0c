import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { keepHostInOrder } from "#cli/daemon/daemon-upkeep.ts";
import { defaultsOf } from "#config/config-value.ts";
import { daemonConfigSchema } from "#config/daemon-config.ts";
import { openStateFolder } from "#host/runner/state-folder.ts";
import { Fault } from "#job/fault.ts";
import { DaemonRoom } from "#test/kit/daemon-room.ts";
import { eventually } from "#test/kit/eventually.ts";
import { type PaperDaemon, paperQuarantine } from "#test/kit/paper-daemon.ts";
import { said, saidLog } from "#test/kit/said-log.ts";

const DEFAULTS = defaultsOf(daemonConfigSchema);
const LONG = { firstPauseMs: 3_600_000, longestPauseMs: 3_600_000 };
const signal = new AbortController().signal;

let room: DaemonRoom;
beforeEach(async () => {
  room = await DaemonRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
});

/** The host starts no machine until it is mended. */
function breakHost({ hypervisor }: PaperDaemon): { mend(): void; booted: string[] } {
  const boot = hypervisor.boot.bind(hypervisor);
  const booted: string[] = [];
  let isBroken = true;
  hypervisor.boot = async (order, abort) => {
    booted.push(order.identity.job);
    if (isBroken) throw new Fault("machine-refused", "libvirt does not like this host");
    return await boot(order, abort);
  };
  return {
    booted,
    mend: () => {
      isBroken = false;
    },
  };
}

const stateOf = async ({ daemon }: PaperDaemon) => (await daemon.status()).state;

async function breakThree(paper: PaperDaemon): Promise<void> {
  for (let at = 0; at < 3; at += 1) {
    const job = await room.submit(["true"], { attempts: 1 });
    expect((await room.settled(job)).verdict).toBe("broken");
  }
  await eventually(async () => (await stateOf(paper)) === "quarantined", 5000);
}

test("a host that breaks three attempts in a row takes nothing, checks itself after growing pauses, and works again when it is well", async () => {
  const paper = await room.start("lab-1");
  const host = breakHost(paper);
  await breakThree(paper);
  expect(await paper.daemon.numbers()).toMatchObject({
    endings: [{ verdict: "broken", fault: "machine-refused", count: 3 }],
    state: "quarantined",
    quarantine: { isIn: true },
  });
  const { why, free } = await paper.daemon.status();
  expect(why).toMatch(/broke 3 times in a row .* with machine-refused: libvirt does not like/);
  expect(free.slots).toBe(2);
  const waits = await room.submit(["echo at last"], { attempts: 1 });
  await eventually(async () => (await room.show(waits)).waiting !== undefined, 5000);
  const grace = await room.service.token("grace", "admin");
  const seen = async () =>
    (await room.service.ask("GET", "/v1/hosts", { token: grace })).json.hosts[0];
  // The service hears of it with the next offer.
  await eventually(async () => (await seen())?.hold !== undefined, 5000);
  expect(await seen()).toMatchObject({
    state: "ready",
    free: { slots: 0 },
    hold: expect.stringMatching(/broke 3 times in a row .* machine-refused/),
  });
  const pauses = () =>
    paper.lines
      .filter(({ words }) => words === "this host takes no work, it is in quarantine")
      .map(({ fields }) => fields["pauseMs"]);
  await eventually(() => pauses().length >= 4, 20_000);
  expect(pauses().slice(0, 4)).toEqual([300, 600, 1000, 1000]);
  expect((await room.show(waits)).state).toBe("queued");
  host.mend();
  const detail = await room.settled(waits);
  expect(detail).toMatchObject({ verdict: "passed", attemptList: [{ number: 1 }] });
  await eventually(async () => (await seen())?.hold === undefined, 5000);
  expect(said(paper.lines, "info")).toContain("leaves quarantine, a health check passed");
  expect(await paper.daemon.numbers()).toMatchObject({
    endings: [{ count: 3 }, { verdict: "passed", fault: undefined, count: 1 }],
    quarantine: { isIn: false, faults: 0, pauses: 0 },
    healthChecks: { passed: 1 },
  });
  // Its checks were no job's attempts: the service never heard of them, and nothing is left of them.
  expect(host.booted.filter((job) => job.startsWith("health-")).length).toBeGreaterThan(3);
  await eventually(
    async () => (await readdir(join(room.stateOf("lab-1"), "attempts"))).length === 0,
    5000,
  );
  expect(await readdir(join(room.stateOf("lab-1"), "machines"))).toEqual([]);
});

test("a restart of the daemon does not end a quarantine; somebody on the host does", async () => {
  const order = async (paperState: string) => ({
    quarantine: await paperQuarantine(paperState, saidLog().log, LONG),
  });
  const state = room.stateOf("lab-1");
  const first = await room.start("lab-1", { parts: await order(state) });
  breakHost(first);
  await breakThree(first);
  first.stop();
  await eventually(() => said(first.lines, "info").includes("takes nothing more"), 5000);
  const paper = await room.start("lab-1", { parts: await order(state) });
  expect(await paper.daemon.status()).toMatchObject({
    state: "quarantined",
    why: expect.stringMatching(/machine-refused.*in (59 m|1 h)/),
  });
  const job = await room.submit(["true"]);
  await eventually(async () => (await room.show(job)).waiting !== undefined, 5000);
  await paper.daemon.resume();
  expect((await room.settled(job)).verdict).toBe("passed");
  expect(await readdir(state)).not.toContain("quarantine.json");
});

test("a health check runs under the host's admission and takes a slot; a full or drained host has none, and nor has one without the image", async () => {
  const limits = { slots: 1, cpus: 8, memoryReserveMiB: 512, diskReserveMiB: 256, loadMax: 1000 };
  const paper = await room.start("lab-1", { parts: { limits } });
  await eventually(async () => (await stateOf(paper)) === "working", 5000);
  paper.guests.hangNext("run");
  const stop = new AbortController();
  const check = paper.daemon.checkHealth(stop.signal);
  await eventually(async () => (await paper.daemon.status()).free.slots === 0, 5000);
  expect(await paper.daemon.checkHealth(signal)).toMatchObject({ kind: "skipped" });
  stop.abort(new Error("the daemon stops"));
  expect(await check).toEqual({ kind: "skipped", why: "the daemon stops" });

  const mark = join(room.service.folder, "mark");
  const job = await room.submit([`while ! [ -e ${mark} ]; do sleep 0.05; done`], { attempts: 1 });
  await eventually(async () => (await room.show(job)).state === "running", 5000);
  expect(await paper.daemon.checkHealth(signal)).toEqual({
    kind: "skipped",
    why: "the host is full",
  });
  await room.cancel(job);
  await room.settled(job);
  await eventually(async () => (await stateOf(paper)) === "working", 5000);
  expect(await paper.daemon.checkHealth(signal)).toMatchObject({ kind: "passed" });
  await paper.daemon.drain("new disk");
  expect(await paper.daemon.checkHealth(signal)).toEqual({
    kind: "skipped",
    why: "the host is drained",
  });
  const bare = await room.start("lab-2", { parts: { images: async () => [] } });
  await eventually(async () => (await stateOf(bare)) === "working", 5000);
  expect(await bare.daemon.checkHealth(signal)).toMatchObject({
    kind: "skipped",
    why: expect.stringContaining("testbed image build"),
  });
});

test("the caretaker's checks that fail put a host into quarantine that has no jobs, and leave their evidence", async () => {
  const paper = await room.start("lab-1");
  await eventually(async () => (await stateOf(paper)) === "working", 5000);
  // A guest that computes wrongly, or says what another one said.
  const host = { isWell: false };
  const connect = paper.guests.connect.bind(paper.guests);
  paper.guests.connect = async (...args) => {
    const guest = await connect(...args);
    const run = guest.run.bind(guest);
    guest.run = async (order, abort) =>
      await run(
        host.isWell ? order : { ...order, step: { ...order.step, run: "echo testbed computes 4" } },
        abort,
      );
    return guest;
  };
  const state = room.stateOf("lab-1");
  const upkeep = { ...DEFAULTS.upkeep, health: "* * * * * *" };
  const { log, lines } = saidLog();
  await using caretaker = keepHostInOrder(
    paper.daemon,
    await openStateFolder(state),
    { ...DEFAULTS, upkeep },
    log,
  );
  await eventually(async () => (await stateOf(paper)) === "quarantined", 10_000);
  expect((await paper.daemon.status()).why).toMatch(
    /a health check with probe: what it printed is not what it was to compute/,
  );
  expect(await readdir(join(state, "health"))).toContain("steps");
  host.isWell = true;
  await eventually(async () => (await stateOf(paper)) === "working", 10_000);
  await eventually(() => lines.some(({ fields }) => fields["host"] === "healthy"), 10_000);
  const { chores } = await caretaker.numbers();
  expect(chores.find(({ name }) => name === "health")?.failures).toBe(0);
});
