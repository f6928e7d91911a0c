import { expect, test } from "vitest";
import { expectNothingLeft, leftovers } from "#test/kit/leftovers.ts";
import { startJob, startTestbed } from "#test/kit/testbed.ts";

test("a kept machine stays, can be entered, is spared by the next run, and goes when it is destroyed", async () => {
  await using job = await startJob({ steps: [{ name: "mark", run: "echo here > /root/mark" }] }, [
    "--keep",
  ]);
  const ran = await job.done;
  expect(ran.exitCode, ran.stderr).toBe(0);
  const name = /testbed ssh (testbed-[0-9a-f]{8}-[0-9a-f]{16})/.exec(ran.stderr)?.[1] ?? "no name";
  expect(ran.stderr).toContain(`testbed destroy ${name}`);

  const entered = await startTestbed(["ssh", name, "--", "cat", "/root/mark"]).done;
  expect(entered, entered.stderr).toMatchObject({ exitCode: 0, stdout: "here\n" });

  await using next = await startJob({ steps: [{ name: "hello", run: "echo hello" }] });
  expect((await next.done).exitCode).toBe(0);
  const listed = await startTestbed(["machines"]).done;
  expect(listed.stdout).toContain(name);

  const destroyed = await startTestbed(["destroy", name]).done;
  expect(destroyed.exitCode, destroyed.stderr).toBe(0);
  await expectNothingLeft();
});

test("a machine that broke is kept too when that was asked for", async () => {
  await using job = await startJob({ steps: [{ name: "fails", run: "exit 5" }] }, ["--keep"]);
  expect((await job.done).exitCode).toBe(1);
  const [name] = (await leftovers()).filter((line) => line.startsWith("testbed-"));
  expect((await startTestbed(["destroy", name ?? "none"]).done).exitCode).toBe(0);
  await expectNothingLeft();
});
