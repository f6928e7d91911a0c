import { expect, test } from "vitest";
import type { FaultCode } from "#job/fault.ts";
import type { Verdict } from "#job/verdict.ts";
import { eventually } from "#test/kit/eventually.ts";
import { expectNothingLeft } from "#test/kit/leftovers.ts";
import { startJob } from "#test/kit/testbed.ts";

/** What a job does to its guest, and what must be said of it. All on the small image, in real machines. */
const WHILE_RUNNING: readonly {
  readonly name: string;
  readonly run: string;
  readonly exitCode: number;
  readonly verdict: Partial<Verdict> | { kind: "broken"; fault: { code: FaultCode } };
  readonly log?: RegExp;
}[] = [
  {
    name: "panics",
    run: "echo before; sync; echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; sleep 100",
    exitCode: 3,
    verdict: { kind: "broken", fault: { code: "guest-panicked" } },
  },
  {
    name: "panics and would boot again by itself",
    run: "echo before; sync; echo 1 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger; sleep 100",
    exitCode: 3,
    verdict: { kind: "broken", fault: { code: "guest-panicked" } },
  },
  {
    name: "boots again mid-step",
    run: "echo before; sleep 1; reboot -f; sleep 100",
    exitCode: 3,
    verdict: { kind: "broken", fault: { code: "guest-runner-lost" } },
    log: /^before\n$/,
  },
  {
    name: "uses up its memory",
    run: "echo before; exec awk 'BEGIN { x = \"x\"; while (length(x) < 500000) x = x x; for (;;) held[++i] = x i }'",
    exitCode: 1,
    verdict: { kind: "failed", why: "step 'it' was ended by SIGKILL" },
    log: /^before\n$/,
  },
  {
    name: "sets its clock decades back and forth",
    run: "echo before; date -s 1999-01-01 && sleep 1 && date -s 2037-01-01 && sleep 1 && echo after",
    exitCode: 0,
    verdict: { kind: "passed" },
    log: /^before\n.*1999\n.*2037\nafter\n$/,
  },
  {
    name: "powers itself off",
    run: "echo before; poweroff -f; sleep 100",
    exitCode: 3,
    verdict: { kind: "broken", fault: { code: "guest-powered-off" } },
  },
  {
    name: "fills its disk and fails",
    run: "dd if=/dev/zero of=/fill bs=1M 2>/dev/null; echo full; exit 7",
    exitCode: 1,
    verdict: { kind: "failed" },
  },
  {
    name: "cuts its own SSH connection mid-step",
    run: 'echo before; for p in $(pidof dropbear); do [ "$(awk "{print \\$4}" /proc/$p/stat)" = 1 ] || kill -9 $p; done; sleep 2; echo after',
    exitCode: 0,
    verdict: { kind: "passed" },
    log: /^before\nafter\n$/,
  },
  {
    name: "kills its SSH server mid-step",
    run: "echo before; sleep 1; killall -9 dropbear; sleep 300",
    exitCode: 3,
    verdict: { kind: "broken", fault: { code: "guest-sshd-gone" } },
    log: /^before\n$/,
  },
  {
    name: "dies of a signal",
    run: "kill -SEGV $$",
    exitCode: 1,
    verdict: { kind: "failed", why: "step 'it' was ended by SIGSEGV" },
  },
];

for (const { name, run, exitCode, verdict, log } of WHILE_RUNNING) {
  test(`a guest that ${name} ends with the right verdict`, async () => {
    await using job = await startJob({ steps: [{ name: "it", run }] });
    const ran = await job.done;
    expect(ran.exitCode, ran.stderr).toBe(exitCode);
    expect((await ran.verdict()).verdict).toMatchObject(verdict);
    if (log !== undefined) expect(await ran.read("steps/01-it.log")).toMatch(log);
    await expectNothingLeft();
  });
}

test("a fork bomb is its job's doing, whether the runner or the time ends first, and a job beside it passes", async () => {
  const bomb = "echo begun; bomb() { bomb | bomb & }; bomb; while :; do :; done";
  await using bombed = await startJob({ timeout: "90s", steps: [{ name: "bomb", run: bomb }] });
  await eventually(() => bombed.output().includes("begun"), 80_000);
  await using beside = await startJob({ steps: [{ name: "it", run: "echo done" }] });
  const neighbour = await beside.done;
  expect(neighbour.exitCode, neighbour.stderr).toBe(0);
  const ran = await bombed.done;
  const { verdict } = await ran.verdict();
  // Where nothing can be started any more, the runner of the step has no say either, nor has the SSH server.
  if (verdict.kind !== "timed-out")
    expect(verdict, ran.stderr).toMatchObject({
      fault: {
        code: expect.stringMatching(/^guest-(runner-lost|sshd-gone)$/),
        blame: "job",
        retry: "never",
      },
    });
  await expectNothingLeft();
});

/** Images that misbehave while they boot: see test/fixtures/images. */
const WHILE_BOOTING: readonly {
  readonly image: string;
  readonly code: FaultCode;
  readonly stage: string;
}[] = [
  { image: "panics-at-boot", code: "image-panicked", stage: "" },
  { image: "hangs-before-ssh", code: "guest-no-ssh", stage: "port answers" },
  { image: "silent", code: "image-unbootable", stage: "console speaks" },
  { image: "refuses-key", code: "guest-login-refused", stage: "login works" },
  { image: "wrong-host-key", code: "guest-wrong-host-key", stage: "host key matches" },
  { image: "powers-off-at-boot", code: "image-powered-off", stage: "" },
  { image: "never-settles", code: "guest-not-settled", stage: "guest settled" },
];

for (const { image, code, stage } of WHILE_BOOTING) {
  test(`the image ${image} ends as ${code}, with its stage and its console`, async () => {
    await using job = await startJob({ image, steps: [{ name: "it", run: "true" }] });
    const ran = await job.done;
    expect(ran.exitCode, ran.stderr).toBe(3);
    const { verdict } = await ran.verdict();
    expect(verdict).toMatchObject({ kind: "broken", fault: { code, blame: "image" } });
    if (verdict.kind === "broken" && stage !== "") expect(verdict.fault.stage).toBe(stage);
    if (image !== "silent") expect((await ran.read("console.log")).length).toBeGreaterThan(0);
    await expectNothingLeft();
  });
}
