import { readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { busyLoops } from "#test/kit/busy-loops.ts";
import { eventually } from "#test/kit/eventually.ts";
import { stateOf } from "#test/kit/lab.ts";
import { syscallFaults } from "#test/kit/syscall-faults.ts";
import { passing } from "./daemon-dies.ts";
import type { Expected } from "./expected.ts";
import { HOST } from "./machine-stage.ts";
import type { Row } from "./row.ts";

const EIGHT_SECONDS = { lines: 80 };
const passes: Expected = { verdict: "passed", counting: EIGHT_SECONDS };

const DISK_MIB = 2048;

/** Room that is enough for whatever a drill still has to write. */
const ROOM_MIB = 600;

/** Host resources and power. */
export const SECTION_E: readonly Row[] = [
  {
    id: "F-64",
    phase: "running",
    fault: "the state folder's disk is full for 10 s: nothing can be written down",
    lab: { diskMiB: DISK_MIB },
    machines: async (stage) => {
      const id = await stage.submit(passes);
      await stage.counted(id, 20);
      await stage.disk.leave(0);
      await passing(10);
      await stage.disk.leave(ROOM_MIB);
    },
  },
  {
    id: "F-34",
    phase: "running",
    fault: "a guest writes to a disk that is full: paused, and goes on when there is room",
    isCore: true,
    lab: { diskMiB: DISK_MIB },
    machines: async (stage) => {
      const run = "dd if=/dev/zero of=/fill bs=1M count=200 2>/dev/null; sync; echo written";
      const steps = [{ name: "fill", run: `echo begun; ${run}` }];
      const logs = { "step-1": "begun\nwritten\n" };
      const resources = { disk: "1GiB" };
      const id = await stage.submit({ verdict: "passed", logs }, { steps, resources });
      await stage.printed(id, "| begun");
      await stage.disk.leave(20);
      const machine = await stage.machineOf(id);
      await eventually(async () => {
        const state = await stage.libvirt.virsh("domstate", "--reason", machine);
        return state.includes("paused (I/O error)");
      }, 60_000);
      await passing(5);
      await stage.disk.leave(ROOM_MIB);
    },
  },
  {
    id: "F-65",
    phase: "any",
    fault: "the disk is full while images, inputs, logs and artifacts come in",
    where: "both",
    provenBy: [
      { file: "test/integration/images/local-images.test.ts", test: "on a full disk says so" },
      {
        file: "test/integration/daemon/trouble.test.ts",
        test: "a disk that is full while inputs come is this host's fault, and another may try",
      },
      {
        file: "test/integration/daemon/short-disk.test.ts",
        test: "a short disk costs what waits for the service its long logs and then its artifacts, and no verdict; what runs loses nothing",
      },
      { file: "test/unit/upkeep/disk-relief.test.ts", test: "*" },
    ],
  },
  {
    id: "F-66",
    phase: "running",
    fault: "fdatasync of the journal fails: the daemon ends, and the next one goes on",
    machines: async (stage) => {
      const id = await stage.submit(passes);
      await stage.counted(id, 20);
      const daemon = stage.daemon;
      await using _ = await syscallFaults(daemon.pid, "fdatasync:error=EIO");
      const { exitCode } = await daemon.done;
      expect(exitCode).not.toBe(0);
      await stage.lab.begin(HOST);
    },
  },
  {
    id: "F-67",
    phase: "running",
    fault: "a slow disk: each fdatasync takes two seconds",
    lab: { lease: "30s" },
    machines: async (stage) => {
      await using _ = await syscallFaults(stage.daemon.pid, "fdatasync:delay_enter=2000000");
      const id = await stage.submit(passes);
      await stage.settled(id);
    },
  },
  {
    id: "F-68",
    phase: "any",
    fault: "killed before and after everything that is written down",
    where: "fakes",
    provenBy: [
      {
        file: "test/integration/daemon/crash-points.test.ts",
        test: "a daemon killed * writing down: *",
      },
      {
        file: "test/integration/service/store-crash.test.ts",
        test: "after kill -9 in the middle of a stream everything that was promised is there, and goes on",
      },
    ],
  },
  {
    id: "F-70",
    phase: "any",
    fault: "the power goes while things are written down",
    notTried: "takes long: npm run soak -- F-70",
  },
  {
    id: "F-71",
    phase: "any",
    fault: "the host was booted meanwhile: machines are gone, attempts are lost and tried again",
    where: "fakes",
    provenBy: [
      {
        file: "test/unit/runner/take-up.test.ts",
        test: "an attempt of an earlier boot of the host is lost, with what is known of it, and what is left of its machine goes",
      },
      {
        file: "test/contract/fake-hypervisor.test.ts",
        test: "after a reboot of the fake host its machines are listed and cannot be adopted",
      },
    ],
  },
  {
    id: "F-72",
    phase: "running",
    fault: "the image's disk is taken away under a machine",
    machines: async (stage) => {
      const id = await stage.submit(passes);
      await stage.counted(id, 20);
      const name = await readFile(join(stateOf(HOST), "images/names/micro.json"), "utf8");
      const { current } = JSON.parse(name) as { current: string };
      const disk = join(stateOf(HOST), "images", current, "disk.qcow2");
      await rename(disk, `${disk}.away`);
      try {
        await stage.settled(id);
      } finally {
        await rename(`${disk}.away`, disk);
      }
    },
  },
  {
    id: "F-74",
    phase: "any",
    fault: "images are removed while a machine starts",
    where: "fakes",
    provenBy: [
      {
        file: "test/integration/images/prune.test.ts",
        test: "never takes an image from under who holds it, however often both come at once",
      },
      {
        file: "test/integration/images/prune.test.ts",
        test: "leaves what is held by a process until that is killed",
      },
    ],
  },
  {
    id: "F-75",
    phase: "starting",
    fault: "the state folder is no folder, a link that leads nowhere, or cannot be written",
    machines: async (stage) => {
      const places = await wrongPlaces(stage.lab.folder);
      for (const state of places) {
        const config = join(stage.lab.folder, "wrong.yaml");
        const right = JSON.parse(await readFile(stage.lab.configOf(HOST), "utf8")) as object;
        await writeFile(config, JSON.stringify({ ...right, state }));
        const { exitCode, stderr } = await stage.lab.testbed("daemon", "--config", config);
        expect(exitCode, `${state}: ${stderr}`).toBeGreaterThan(0);
        expect(stderr, state).toContain(state);
      }
    },
  },
  {
    id: "F-76",
    phase: "running",
    fault: "four busy loops beside two machines: no lease is lost",
    lab: { lease: "30s" },
    machines: async (stage) => {
      using _ = busyLoops(4);
      const jobs = [await stage.submit(passes), await stage.submit(passes)];
      for (const id of jobs) await stage.settled(id);
    },
  },
  {
    id: "F-77",
    phase: "preparing",
    fault: "memory is short",
    where: "fakes",
    provenBy: [
      {
        file: "test/unit/runner/admission.test.ts",
        test: "a machine waits for memory that others hold, says so once, and goes on when it is free",
      },
      { file: "test/unit/daemon/room.test.ts", test: "*" },
    ],
  },
];

async function wrongPlaces(folder: string): Promise<readonly string[]> {
  const file = join(folder, "file");
  await writeFile(file, "");
  const link = join(folder, "link");
  await symlink("/nowhere/at/all", link);
  const inFile = join(file, "below");
  return [file, link, inFile, "/proc/testbed-drill"];
}
