import { beforeEach, expect, test } from "vitest";
import { ClientDesk } from "#test/kit/client-desk.ts";
import { eventually } from "#test/kit/eventually.ts";
import { broken } from "#test/kit/lease-messages.ts";

let desk: ClientDesk;

beforeEach(async () => {
  desk = await ClientDesk.forTest();
});

test("hosts are listed and told of one by one: what they do, and their faults", async () => {
  expect((await desk.run("hosts")).stdout).toContain("There are no hosts");
  expect((await desk.run("hosts", "--images")).stdout).toBe("No host has an image.\n");
  const host = await desk.host();
  const file = await desk.job();
  await desk.run("submit", file);
  await host.take();
  await host.settle(broken("never").verdict);
  await desk.run("submit", file);
  const { jobId } = await host.take();
  await host.enter("booting");
  const table = await desk.run("hosts");
  expect(table.stdout).toMatch(/^NAME +STATE .*\nlab-1 +ready /);
  const one = await desk.run("hosts", "lab-1");
  expect(one.stdout).toMatch(new RegExp(`${jobId} +1  booting`));
  expect(one.stdout).toContain("machine-crashed");
  expect(one.stdout).toContain("arch=x86_64");
  expect((await desk.json("hosts")).hosts).toHaveLength(1);
  expect(await desk.json("hosts", "lab-1")).toMatchObject({ name: "lab-1", state: "ready" });
  const images = await desk.run("hosts", "--images");
  expect(images.stdout).toMatch(
    /^IMAGE +DIGEST +HOSTS *\nmicro:\S+ +(\w{64}|not built yet) +lab-1\n/,
  );
  const none = await desk.run("hosts", "lab-2", "--json");
  expect(none.exitCode).toBe(2);
  expect(JSON.parse(none.stdout).error.message).toContain("did you mean 'lab-1'?");
});

test("a drain needs an admin, says what still runs, waits for its end, and is taken back", async () => {
  const host = await desk.host();
  await desk.run("submit", await desk.job());
  await host.take();
  const refused = await desk.run("drain", "lab-1", "--json");
  expect(refused.exitCode).toBe(2);
  expect(JSON.parse(refused.stdout).error).toMatchObject({ problem: "forbidden" });
  await desk.role("admin");
  const waiting = desk.start("drain", "--wait", "--why", "new disks", "lab-1");
  await eventually(() => waiting.output().includes("is draining, 1 job runs there"), 20_000);
  await host.settle({ kind: "passed" });
  expect(await waiting.done).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining("lab-1  is drained"),
  });
  expect((await desk.run("hosts", "lab-1")).stdout).toContain("new disks");
  expect((await desk.json("resume", "lab-1")).hosts).toMatchObject([{ state: "ready" }]);
  expect(await desk.run("drain", "nowhere")).toMatchObject({ exitCode: 2 });
});
