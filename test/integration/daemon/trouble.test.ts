import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { writeRecord } from "#host/runner/machine-record.ts";
import { openStateFolder } from "#host/runner/state-folder.ts";
import { Fault } from "#job/fault.ts";
import { machineName } from "#job/machine-name.ts";
import { DaemonRoom } from "#test/kit/daemon-room.ts";
import { eventually } from "#test/kit/eventually.ts";
import type { PaperDaemon } from "#test/kit/paper-daemon.ts";

let room: DaemonRoom;
beforeEach(async () => {
  room = await DaemonRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
});

test("a host takes nothing while libvirt is away, and says so; nothing breaks there", async () => {
  const paper = await room.start("lab-1");
  await eventually(async () => (await paper.daemon.status()).state === "working", 5000);
  const list = paper.hypervisor.list.bind(paper.hypervisor);
  paper.hypervisor.list = async () => {
    throw new Fault("libvirt-unreachable", "libvirtd is not there");
  };
  // It asks for work anew now.
  await paper.daemon.resume();
  await eventually(async () => (await paper.daemon.status()).state === "holding", 5000);
  expect((await paper.daemon.status()).why).toMatch(/libvirtd is not there/);
  const job = await room.submit(["true"]);
  await eventually(async () => (await room.show(job)).waiting !== undefined, 5000);
  paper.hypervisor.list = list;
  expect((await room.settled(job)).attemptList).toHaveLength(1);
  const words = paper.lines.map(({ words: said }) => said);
  expect(words).toContain("no work is taken while libvirt is away");
  expect(words).toContain("libvirt answers again");
});

test("whatever was in the way at the start passes, without another start", async () => {
  await room.start("lab-1", {
    dial: ({ hypervisor }) => hypervisor.failNext("list", new Error("ENOSPC: no space left")),
  });
  const job = await room.submit(["true"]);
  expect((await room.settled(job)).verdict).toBe("passed");
});

test("memory of a machine that somebody keeps is not offered", async () => {
  const paper = await room.start("lab-1");
  await eventually(async () => (await paper.daemon.status()).state === "working", 5000);
  const { capacity } = await paper.daemon.status();
  const state = await openStateFolder(room.stateOf("lab-1"));
  const identity = { installation: state.installation, job: "e".repeat(16), attempt: 1 };
  const name = machineName(identity);
  await mkdir(join(state.path, "machines", name), { recursive: true });
  const memoryMiB = capacity.memoryMiB - 100;
  const place = { job: identity.job, attempt: 1, slot: 9, memoryMiB, pid: 1, kept: true };
  await writeRecord(state, { name, ...place });
  const list = paper.hypervisor.list.bind(paper.hypervisor);
  paper.hypervisor.list = async (installation) => [...(await list(installation)), name];
  await paper.daemon.resume();
  await eventually(async () => (await paper.daemon.status()).free.memoryMiB <= 100, 5000);
});

test("a job that this host does not understand is reported as that, and nothing is left of it", async () => {
  const paper = await room.start("lab-1", {
    dial: ({ uplink }) => {
      const take = uplink.take.bind(uplink);
      uplink.take = async (request, signal) => {
        const grant = await take(request, signal);
        const resources = { memory: "a lot, in words of a newer testbed" };
        return grant && { ...grant, job: { ...grant.job, resources } };
      };
    },
  });
  const job = await room.submit(["true"], { attempts: 1 });
  await eventually(
    async () => (await room.show(job)).attemptList[0]?.verdict !== undefined,
    10_000,
  );
  expect((await room.show(job)).attemptList[0]?.verdict?.fault?.code).toBe("job-not-understood");
  expect(paper.lines.filter(({ level }) => level === "error")).toEqual([]);
});

test("two daemons of one name do not drive each other round, and say what they see", async () => {
  let asked = 0;
  const dial = ({ uplink }: PaperDaemon) => {
    const take = uplink.take.bind(uplink);
    uplink.take = async (request, signal) => {
      asked += 1;
      return await take(request, signal);
    };
  };
  const one = await room.start("lab-1", { dial });
  const two = await room.start("lab-1", { dial, state: "lab-1-twin" });
  await eventually(() => {
    const said = [...one.lines, ...two.lines].some(({ words }) => /another daemon/.test(words));
    return said;
  }, 30_000);
  expect(asked).toBeLessThan(60);
});

test("a disk that is full while inputs come is this host's fault, and another may try", async () => {
  await room.start("lab-1", {
    dial: ({ uplink }) => {
      uplink.fetchInput = async () => {
        throw Object.assign(new Error("ENOSPC: no space left on device, write"), {
          code: "ENOSPC",
        });
      };
    },
  });
  const inputs = [await room.input(Buffer.from("x"), "file", "/tmp/nowhere/x")];
  const job = await room.submit(["true"], { inputs, attempts: 1 } as never);
  expect((await room.settled(job)).attemptList[0]?.verdict?.fault).toMatchObject({
    code: "host-disk-full",
    stage: "input /tmp/nowhere/x",
  });
});

test("a cancel is heard while inputs are on their way, and no machine is made", async () => {
  let isAsked = false;
  const paper = await room.start("lab-1", {
    dial: ({ uplink }) => {
      uplink.fetchInput = async (_lease, _input, _path, signal) => {
        isAsked = true;
        await once(signal, "abort");
        signal.throwIfAborted();
      };
    },
  });
  const inputs = [await room.input(Buffer.from("x"), "file", "/tmp/nowhere/x")];
  const job = await room.submit(["true"], { inputs } as never);
  await eventually(() => isAsked, 5000);
  await room.cancel(job);
  expect((await room.settled(job)).verdict).toBe("cancelled");
  expect(paper.guests.guests).toEqual([]);
});
