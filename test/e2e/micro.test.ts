import { expect, test } from "vitest";
import { expectNothingLeft } from "#test/kit/leftovers.ts";
import { startJob } from "#test/kit/testbed.ts";

test("what a step writes to /dev/stdout, /dev/stderr and /dev/fd is in its log", async () => {
  const run = "echo one >/dev/stdout; echo two >/dev/stderr; echo three >/dev/fd/1; cat /dev/stdin";
  await using job = await startJob({ steps: [{ name: "it", run }] });
  const ran = await job.done;
  expect(ran.exitCode, ran.stderr).toBe(0);
  expect(await ran.read("steps/01-it.log")).toBe("one\ntwo\nthree\n");
  await expectNothingLeft();
});
