import { once } from "node:events";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { DaemonRoom } from "#test/kit/daemon-room.ts";

/** What the attempt below writes down, in order; a test fails when a moment is added or goes. */
const WRITES = [
  "lease",
  "leased",
  "preparing",
  "machine",
  "booting",
  "connecting",
  "guest",
  "running",
  "step 1 begins",
  "step 1 ends",
  "step 2 begins",
  "step 2 ends",
  "collecting",
  "verdict",
  "report",
  "end of the folder",
] as const;

const POINTS = WRITES.flatMap((what, at) =>
  (["before", "after"] as const).map((side) => ({ what, side, nth: at + 1 })),
);

test.for(POINTS)(
  "a daemon killed $side writing down: $what",
  { timeout: 60_000 },
  async ({ side, nth }) => {
    const room = await DaemonRoom.open();
    onTestFinished(() => room[Symbol.asyncDispose]());
    const out = join(room.service.folder, "out.txt");
    const count = join(room.service.folder, "count");
    const job = await room.submit(
      [`echo run >>${count}; echo 1; sleep 0.3; echo 2`, `cp ${count} ${out}; cat ${out}; exit 4`],
      { artifacts: [out], attempts: 1 },
    );
    const child = await room.spawn("lab-1", `${side}:${nth}`);
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    expect(child.signalCode).toBe("SIGKILL");
    await room.spawn("lab-1");
    const detail = await room.settled(job);
    expect(detail.attemptList).toHaveLength(1);
    expect(detail.attemptList[0]?.verdict).toMatchObject({ kind: "failed" });
    expect(detail.attemptList[0]?.report?.steps).toMatchObject([
      { outcome: "passed" },
      { outcome: "failed", exitCode: 4 },
    ]);
    expect(await room.log(job, "step-1")).toBe("1\n2\n");
    // Each step ran once, whatever was killed.
    expect(await room.log(job, "step-2")).toBe("run\n");
    const { json } = await room.ask("GET", `/v1/jobs/${job}/artifacts`);
    expect(json.artifacts).toMatchObject([{ bytes: 4 }]);
    await room.nothingLeft("lab-1");
  },
);

test("an attempt has no other moments than these", { timeout: 60_000 }, async () => {
  const room = await DaemonRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
  const child = await room.spawn("lab-1", `before:${WRITES.length + 1}`);
  const out = join(room.service.folder, "out.txt");
  const job = await room.submit([`echo >${out}`, "exit 4"], { artifacts: [out] });
  await room.settled(job);
  await room.nothingLeft("lab-1");
  expect(child.signalCode).toBe(null);
});
