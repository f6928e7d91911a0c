import { setTimeout as delay } from "node:timers/promises";
import { HOST, type MachineStage } from "#test/e2e/drills/machine-stage.ts";
import { SERVICE } from "#test/kit/lab.ts";
import type { SoakOrder, Victim } from "./order.ts";

/** Who was killed how often. */
export type Killed = Record<Victim, number>;

/**
 * Kills one of the victims with SIGKILL, starts it again at once without waiting until it is ready, and pauses; so many times. The next
 * kill may hit what has just begun. Ends early when `isOver`.
 */
export async function killAtRandom(
  stage: MachineStage,
  { kills, victims, pauseSeconds }: SoakOrder,
  random: () => number,
  isOver: () => boolean,
): Promise<Killed> {
  const killed: Killed = { daemon: 0, service: 0, libvirtd: 0 };
  const startedMs = performance.now();
  for (let at = 0; at < kills && !isOver(); at += 1) {
    await delay(random() * 2 * pauseSeconds * 1000);
    const victim = victims[Math.floor(random() * victims.length)] as Victim;
    await KILL[victim](stage);
    killed[victim] += 1;
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    process.stderr.write(`${seconds} s: kill ${at + 1} of ${kills}: ${victim}\n`);
  }
  return killed;
}

const KILL: Readonly<Record<Victim, (stage: MachineStage) => Promise<void>>> = {
  daemon: async ({ lab }) => await again(lab, HOST),
  service: async ({ lab }) => await again(lab, SERVICE),
  libvirtd: async ({ libvirt }) => {
    await libvirt.kill();
    await libvirt.launch();
  },
};

async function again(lab: MachineStage["lab"], who: string): Promise<void> {
  // One that has just begun may have ended by itself: a service whose predecessor's lock was still held, say.
  if (lab.running.has(who)) await lab.end(who);
  lab.launch(who);
}
