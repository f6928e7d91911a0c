import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { ClientDesk } from "#test/kit/client-desk.ts";
import { command, PATH } from "#test/kit/command.ts";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT } from "#test/kit/house.ts";
import { broken } from "#test/kit/lease-messages.ts";

const WAIT_MS = 20_000;

let desk: ClientDesk;

beforeEach(async () => {
  desk = await ClientDesk.forTest();
});

test("a log comes byte for byte, of the attempt and the name that were asked for", async () => {
  const host = await desk.host();
  await desk.run("submit", await desk.job({ attempts: 2 }));
  const { jobId } = await host.take();
  await host.write("first\n");
  await host.settle(...([broken("anywhere").verdict] as const));
  await host.take();
  await host.write("\u001b[31mraw\r\n");
  await host.write("console text", "console");
  const last = await desk.run("logs", jobId);
  expect(last).toMatchObject({ exitCode: 0, stdout: "\u001b[31mraw\r\n", stderr: "" });
  expect((await desk.run("logs", jobId, "--attempt", "1")).stdout).toBe("first\n");
  expect((await desk.run("logs", jobId, "--log", "console")).stdout).toBe("console text");
  expect((await desk.run("logs", jobId, "--log", "step-7")).stdout).toBe("");
  expect(await desk.run("logs", jobId, "--attempt", "3")).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("2 attempts so far"),
  });
  expect(await desk.json("logs", jobId)).toEqual({
    job: jobId,
    log: "output",
    attempt: 2,
    bytes: 10,
    base64: Buffer.from("\u001b[31mraw\r\n").toString("base64"),
  });
  expect(await desk.run("logs", "-f", jobId, "--json")).toMatchObject({ exitCode: 2 });
});

test("on a terminal a log is harmless, and a reader who leaves early is no error", async () => {
  const host = await desk.host();
  await desk.run("submit", await desk.job());
  const { jobId } = await host.take();
  await host.write("\u001b]0;title\u0007\u001b[2Jgone?\n".padEnd(300_000, "y\n"));
  const env = { PATH, HOME: desk.home, TERM: "xterm", SHELL: "/bin/sh" };
  const testbed = join(ROOT, "bin/testbed");
  const line = `${testbed} logs ${jobId}`;
  const seen = await command("script", ["-qec", line, "/dev/null"], { env });
  expect(seen.exitCode).toBe(0);
  expect(seen.stdout).toContain("␛[2Jgone?");
  expect(seen.stdout).not.toContain("\u001b");
  const piped = await command("sh", ["-c", `{ ${line}; echo "status $?" >&2; } | head -n 1`], {
    env,
  });
  expect(piped.stderr).toBe("status 0\n");
  const followed = await command(
    "sh",
    ["-c", `{ ${line} -f; echo "status $?" >&2; } | head -n 1`],
    { env },
  );
  expect(followed.stderr).toBe("status 0\n");
});

test("a job that has not begun has no log yet, and -f waits for it, through all attempts", async () => {
  await desk.run("submit", await desk.job({ attempts: 2 }));
  const id = (await desk.json("jobs")).jobs[0]?.id ?? "";
  expect(await desk.run("logs", id)).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining(`testbed logs -f ${id}`),
  });
  const following = desk.start("logs", "-f", id);
  await eventually(() => following.output().includes("waits: no host"), WAIT_MS);
  const host = await desk.host();
  await host.take();
  await host.write("one\n");
  await eventually(() => following.output().includes("one"), WAIT_MS);
  await host.settle(broken("anywhere").verdict);
  await host.take();
  await host.write("two\n");
  await host.settle({ kind: "failed", why: "no" });
  const { exitCode, stdout, stderr } = await following.done;
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "one\ntwo\n" });
  expect(stderr).toContain("==> attempt 2");
});

test("following survives a restart of the service, byte for byte; Ctrl-C ends it with 130", async () => {
  const host = await desk.host();
  await desk.run("submit", await desk.job());
  const { jobId } = await host.take();
  const big = "0123456789abcdef".repeat(20_000);
  await host.write(big);
  const following = desk.start("logs", "-f", jobId);
  const other = desk.start("logs", "-f", jobId);
  for (const one of [following, other])
    await eventually(() => one.output().length >= big.length, WAIT_MS);
  const { port } = new URL(desk.room.url);
  await desk.room.stop();
  await eventually(() => following.output().includes("waiting for the job service"), WAIT_MS);
  await desk.room.start(Number(port));
  await host.write("the end\n");
  await eventually(() => other.output().includes("the end\n"), WAIT_MS);
  other.kill("SIGINT");
  expect((await other.done).exitCode).toBe(130);
  await host.settle({ kind: "passed" });
  const { exitCode, stdout } = await following.done;
  expect(exitCode).toBe(0);
  expect(stdout === `${big}the end\n`).toBe(true);
});
