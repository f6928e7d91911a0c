import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { DaemonRoom } from "#test/kit/daemon-room.ts";
import { eventually } from "#test/kit/eventually.ts";
import { syscallFaults } from "#test/kit/syscall-faults.ts";

let room: DaemonRoom;
beforeEach(async () => {
  room = await DaemonRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
});

test("a daemon ends at once when its disk cannot say whether it has a journal's line, and the next one goes on", async () => {
  const child = await room.spawn("lab-1");
  const mark = join(room.service.folder, "mark");
  const job = await room.submit([
    `echo begun; while ! [ -e ${mark} ]; do sleep 0.05; done; echo over`,
    "exit 3",
  ]);
  await eventually(async () => (await room.log(job)).includes("| begun"), 10_000);
  {
    await using _ = await syscallFaults(child.pid ?? 0, "fdatasync:error=EIO:when=1");
    await writeFile(mark, "");
    if (child.exitCode === null) await once(child, "exit");
  }
  expect(child.exitCode).toBe(74);
  expect((await room.show(job)).state).toBe("running");
  await room.spawn("lab-1");
  const detail = await room.settled(job);
  expect(detail.verdict).toBe("failed");
  expect(detail.attemptList).toHaveLength(1);
  expect(await room.log(job, "step-1")).toBe("begun\nover\n");
  await room.nothingLeft("lab-1");
}, 60_000);

test("an attempt waits where the disk has no room for its journal, and goes on when there is some", async () => {
  const child = await room.spawn("lab-1");
  {
    await using _ = await syscallFaults(child.pid ?? 0, "pwrite64:error=ENOSPC:when=4..8");
    const job = await room.submit(["echo one", "echo two"]);
    const detail = await room.settled(job);
    expect(detail.verdict).toBe("passed");
    expect(detail.attemptList).toHaveLength(1);
    expect(detail.attemptList[0]?.report?.durationMs).toBeGreaterThan(4_000);
    expect(await room.log(job, "step-1")).toBe("one\n");
  }
  await room.nothingLeft("lab-1");
}, 60_000);

test("a slow disk makes an attempt slow, and loses no lease", async () => {
  const child = await room.spawn("lab-1");
  {
    await using _ = await syscallFaults(child.pid ?? 0, "fdatasync:delay_enter=700000");
    const job = await room.submit(["echo one"]);
    const detail = await room.settled(job);
    expect(detail.verdict).toBe("passed");
    expect(detail.attemptList).toHaveLength(1);
  }
  await room.nothingLeft("lab-1");
}, 60_000);
