import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { counted, countingStep } from "#test/e2e/drills/counting.ts";
import { passing } from "#test/e2e/drills/daemon-dies.ts";
import { call } from "#test/kit/call.ts";
import { CutDisk } from "#test/kit/cut-disk.ts";
import { DaemonRoom } from "#test/kit/daemon-room.ts";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT } from "#test/kit/house.ts";
import { endAllOf } from "#test/kit/processes.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { randomOf } from "#test/kit/seeds.ts";
import type { SoakOrder } from "./order.ts";
import type { SoakSummary } from "./summary.ts";

const HOST = "drill";
/** More than a host keeps free; nearly all of it is a hole. */
const DISK_MIB = 512;
const OVER_MS = 60_000;

/** Each attempt that a power cut ends is followed by another. */
const ATTEMPTS = 10;

/**
 * A soak without machines: the power of a host's disk is cut again and again while its daemon writes down what it does, and the host
 * comes back in another boot. Each job ends once, however often it was tried, and the log of its last attempt is whole.
 */
export async function powerSoak(name: string, order: SoakOrder): Promise<SoakSummary> {
  const startedMs = performance.now();
  const random = randomOf(order.seed);
  await using room = await DaemonRoom.open();
  await using disk = await CutDisk.open(room.stateOf(HOST), DISK_MIB);
  await using machines = await scratchFolder();
  await symlink(machines.path, join(disk.path, "paper-machines"));
  await call("sync", ["--file-system", disk.path]);
  const token = await room.service.token(HOST, "host");
  const boot = async () => await boots(room, token);
  const jobs = [];
  for (let at = 0; at < order.jobs; at += 1) {
    const seconds = order.secondsMin + random() * (order.secondsMax - order.secondsMin);
    const counting = { lines: Math.ceil(seconds * 10) };
    const id = await room.submit([countingStep(counting).run], { attempts: ATTEMPTS });
    jobs.push({ id, counting });
  }
  let daemon = await boot();
  // Whatever happens: a disk that is in use cannot be taken away.
  await using _ = {
    [Symbol.asyncDispose]: async () => {
      await killed(daemon);
      await endAllOf(disk.path);
    },
  };
  let cuts = 0;
  for (; cuts < order.kills; cuts += 1) {
    await passing(random() * 2 * order.pauseSeconds);
    await killed(daemon);
    await disk.freeze();
    await endAllOf(disk.path);
    await disk.comeBack();
    await forgetAll(machines.path);
    daemon = await boot();
    process.stderr.write(`power cut ${cuts + 1} of ${order.kills}\n`);
  }
  const wrong: string[] = [];
  const verdicts: Record<string, number> = {};
  let attempts = 0;
  for (const { id, counting } of jobs) {
    const isOver = async () => (await room.show(id)).state === "settled";
    await eventually(isOver, OVER_MS, 200).catch(() => undefined);
    const { verdict = "none", attemptList, phase = "no phase" } = await room.show(id);
    verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
    attempts += attemptList.length;
    const says = await room.events(id);
    const ends = says.filter((line) => /^attempt \d+ on/.test(line)).length;
    if (verdict !== "passed") wrong.push(`job ${id} is ${verdict}, ${phase}: ${says.join("; ")}`);
    if (ends !== attemptList.length) wrong.push(`job ${id}: ${ends} ends: ${says.join("; ")}`);
    if ((await room.log(id, "step-1")) !== counted(counting)) wrong.push(`job ${id}: its log`);
  }
  const logBytes = jobs.reduce((sum, { counting }) => sum + counted(counting).length, 0);
  const durationMs = performance.now() - startedMs;
  return { name, order, durationMs, killed: { power: cuts }, verdicts, attempts, logBytes, wrong };
}

/** A daemon in a boot of its own, as far as it can see. */
async function boots(room: DaemonRoom, token: string): Promise<ChildProcess> {
  const bootFile = join(room.service.folder, "boot-id");
  await writeFile(bootFile, `${randomUUID()}\n`);
  const daemon = [process.execPath, join(ROOT, "test/kit/run-paper-daemon.ts")];
  const script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"';
  const args = [...daemon, HOST, room.stateOf(HOST), room.service.url, token];
  const child = spawn("unshare", ["--mount", "sh", "-c", script, bootFile, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
  return child;
}

/** Machines are gone with the power. They lie elsewhere, since what stands for libvirt is not written for power cuts. */
async function forgetAll(machines: string): Promise<void> {
  for (const name of await readdir(machines)) await rm(join(machines, name), { recursive: true });
}

/** Nothing that it says reaches anybody from now on. What it wrote the kernel still holds, unless it was synced. */
async function killed(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const dead = once(daemon, "exit");
  daemon.kill("SIGKILL");
  await dead;
}
