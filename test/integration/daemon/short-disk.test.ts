import { watch } from "node:fs";
import { mkdir, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { keepHostInOrder, type UpkeepConfig } from "#cli/daemon/daemon-upkeep.ts";
import { defaultsOf } from "#config/config-value.ts";
import { daemonConfigSchema } from "#config/daemon-config.ts";
import { openStateFolder } from "#host/runner/state-folder.ts";
import { KEPT_LOG_BYTES } from "#host/upkeep/disk-relief.ts";
import { layAttempt } from "#test/kit/attempt-shelf.ts";
import { DaemonRoom } from "#test/kit/daemon-room.ts";
import { eventually } from "#test/kit/eventually.ts";
import { saidLog } from "#test/kit/said-log.ts";
import { smallDisk } from "#test/kit/small-disk.ts";

const MIB = 2 ** 20;
const DEFAULTS = defaultsOf(daemonConfigSchema);
const EACH_SECOND = "* * * * * *";

const LIMITS = { slots: 2, cpus: 8, memoryReserveMiB: 512, diskReserveMiB: 20, loadMax: 1000 };

const CONFIG: UpkeepConfig = {
  ...DEFAULTS,
  upkeep: { ...DEFAULTS.upkeep, disk: EACH_SECOND },
  capacity: { ...DEFAULTS.capacity, diskReserve: 20, diskLow: 16 },
};

/** Says that it began, and prints the rest when the mark is there. */
const steps = (mark: string, rest: string) => [
  `echo begun; while ! [ -e ${mark} ]; do sleep 0.05; done; ${rest}`,
];

test("a short disk costs what waits for the service its long logs and then its artifacts, and no verdict; what runs loses nothing", {
  timeout: 60_000,
}, async () => {
  await using disk = await smallDisk(512);
  await using room = await DaemonRoom.open();
  const state = room.stateOf("lab-1");
  await mkdir(dirname(state), { recursive: true });
  await symlink(disk.path, state);
  const aside = `${"d".repeat(16)}-1`;
  await layAttempt(state, aside, { state: "aside", files: { "output.log": 4 * MIB } });
  const paper = await room.start("lab-1", { parts: { limits: LIMITS, logLimitBytes: 16 * MIB } });
  const { log, lines } = saidLog();
  await using _ = keepHostInOrder(paper.daemon, await openStateFolder(state), CONFIG, log);
  const [mark, other] = [join(room.service.folder, "mark"), join(room.service.folder, "other")];
  const out = join(room.service.folder, "out.bin");
  const long = await room.submit(
    steps(mark, `yes 0123456 | head -c 6000000; head -c ${20 * MIB} /dev/zero >${out}`),
    { artifacts: [out], attempts: 1 },
  );
  const runs = await room.submit(steps(other, "echo over"), { attempts: 1 });
  for (const job of [long, runs])
    await eventually(async () => (await room.log(job)).includes("| begun"), 10_000);

  await room.service.stop();
  await writeFile(mark, "");
  const folder = join(state, "attempts", `${long}-1`);
  await eventually(async () => (await readdir(folder)).includes("verdict.json"), 20_000);
  const step = join(folder, "results/steps/01-step-1.log");
  expect((await stat(step)).size).toBe(6_000_006);

  // Somebody else takes more and more of the disk.
  await disk.leave(18);
  await eventually(async () => (await disk.freeMiB()) >= 20, 10_000);
  expect(await readdir(join(state, "attempts"))).not.toContain(aside);
  expect((await stat(step)).size).toBe(6_000_006);
  await disk.leave(12);
  await eventually(async () => (await disk.freeMiB()) >= 16, 10_000);
  await disk.leave(5);
  const artifact = join(folder, "results/artifacts", out);
  await eventually(async () => (await stat(artifact).catch(() => undefined)) === undefined, 10_000);
  // A file's name goes before its bytes do.
  await eventually(async () => (await disk.freeMiB()) >= 20, 10_000);
  expect((await stat(step)).size).toBeLessThan(2 * KEPT_LOG_BYTES);
  await disk.leave(10);
  const { state: is, why, free } = await paper.daemon.status();
  expect({ is, why, slots: free.slots }).toEqual({
    is: "holding",
    why: expect.stringMatching(/^the disk has [0-9]+ MiB free, and 20 are kept/),
    slots: 0,
  });

  await disk.leave(500);
  await room.service.restart();
  await writeFile(other, "");
  const detail = await room.settled(long);
  expect(detail.verdict).toBe("passed");
  expect(detail.attemptList).toHaveLength(1);
  const { refused } = detail.attemptList[0]?.report ?? {};
  expect(refused).toEqual(
    expect.arrayContaining([
      { name: "log step-1", why: expect.stringMatching(/of 6000006 bytes.*disk was short/) },
      { name: out.slice(1), why: expect.stringMatching(/not delivered.*disk was short/) },
    ]),
  );
  const text = await room.log(long, "step-1");
  expect(text.slice(0, KEPT_LOG_BYTES)).toBe(
    `begun\n${"0123456\n".repeat(8192)}`.slice(0, KEPT_LOG_BYTES),
  );
  expect(text.slice(KEPT_LOG_BYTES)).toMatch(
    /^\n\[testbed: log cut here after 65536 bytes: .*\]\n$/,
  );
  expect((await room.settled(runs)).verdict).toBe("passed");
  expect(await room.log(runs, "step-1")).toBe("begun\nover\n");
  const told = lines.filter(({ level, fields }) => level === "info" && fields["chore"] === "disk");
  expect(told.flatMap(({ fields }) => Object.keys(fields))).toEqual(
    expect.arrayContaining(["evidence", "logs", "artifacts", "durationMs", "freedBytes"]),
  );
});

test("a disk without a byte left holds up what runs and takes nothing new; with room again both jobs pass, at the first attempt", {
  timeout: 60_000,
}, async () => {
  await using disk = await smallDisk(512);
  await using room = await DaemonRoom.open();
  const state = room.stateOf("lab-1");
  await mkdir(dirname(state), { recursive: true });
  await symlink(disk.path, state);
  const paper = await room.start("lab-1", { parts: { limits: LIMITS } });
  const mark = join(room.service.folder, "mark");
  const runs = await room.submit(steps(mark, "true"), { attempts: 1 });
  await eventually(async () => (await room.log(runs)).includes("| begun"), 10_000);
  const folder = join(state, "attempts", `${runs}-1`);
  const tries = new Set<string>();
  const watching = watch(folder, (_, name) => {
    if (name?.startsWith("verdict.json.")) tries.add(name);
  });
  onTestFinished(() => watching.close());
  await disk.leave(0);
  await paper.daemon.resume();
  await eventually(async () => (await paper.daemon.status()).state === "holding", 10_000);
  await writeFile(mark, "");
  const waits = await room.submit(["echo later"], { attempts: 1 });
  await eventually(async () => (await room.show(waits)).waiting !== undefined, 10_000);
  // Its step is over, and there is no room for its verdict: it is tried again and again, and the attempt stands still meanwhile.
  await eventually(() => tries.size > 1, 10_000);
  expect((await room.show(runs)).state).toBe("running");
  expect(await readdir(folder)).not.toContain("verdict.json");
  await disk.leave(400);
  for (const job of [runs, waits]) {
    const detail = await room.settled(job);
    expect(detail).toMatchObject({ verdict: "passed", attemptList: [{ number: 1 }] });
    expect(detail.attemptList).toHaveLength(1);
  }
  expect(await room.log(runs, "step-1")).toBe("begun\n");
  expect(paper.lines.filter(({ level }) => level === "error")).toEqual([]);
});
