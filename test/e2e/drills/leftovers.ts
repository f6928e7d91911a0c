import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { machineOwnership } from "#host/hypervisor/ownership.ts";
import { toXml } from "#host/hypervisor/xml.ts";
import { machineName, machineUuid } from "#job/machine-name.ts";
import { stateOf } from "#test/kit/lab.ts";
import type { OwnLibvirt } from "#test/kit/own-libvirt.ts";
import { HOST, type MachineStage } from "./machine-stage.ts";

/** Machines that somebody left. */
export type LeftMachines = {
  /** Names of those that are still there, with or without their domain. */
  ours(): Promise<readonly string[]>;
  strangers(): Promise<readonly string[]>;
  removeStrangers(): Promise<void>;
};

/** Defines machines of attempts that nobody remembers, with their folders, and one whose name alone is like ours. */
export async function leftoversOf(stage: MachineStage, count: number): Promise<LeftMachines> {
  const { libvirt } = stage;
  const installation = await stage.installation();
  const identities = Array.from({ length: count + 1 }, (_, at) => ({
    installation,
    job: at.toString(16).padStart(16, "0"),
    attempt: 1,
  }));
  const names = identities.map(machineName);
  for (const [at, identity] of identities.entries()) {
    const isStranger = at === count;
    const owner = isStranger ? { ...identity, installation: "0".repeat(32) } : identity;
    await libvirt.define("domain", domainXml(names[at] ?? "", machineUuid(identity), owner));
    if (!isStranger) await mkdir(join(stateOf(HOST), "machines", names[at] ?? ""));
  }
  const [stranger = "", ...ours] = [...names].reverse();
  const among = async (which: readonly string[]) =>
    (await domains(libvirt)).filter((name) => which.includes(name));
  return {
    ours: () => among(ours),
    strangers: () => among([stranger]),
    removeStrangers: async () => {
      await libvirt.virsh("undefine", stranger);
      await rm(join(stateOf(HOST), "machines", stranger), { recursive: true, force: true });
    },
  };
}

async function domains(libvirt: OwnLibvirt): Promise<readonly string[]> {
  return (await libvirt.virsh("list", "--all", "--name")).split("\n");
}

function domainXml(
  name: string,
  uuid: string,
  owner: { readonly installation: string; readonly job: string; readonly attempt: number },
): string {
  return toXml({
    domain: {
      "@type": "qemu",
      name,
      uuid,
      metadata: machineOwnership(owner, 0),
      memory: { "@unit": "MiB", "#text": "16" },
      os: { type: { "@arch": "x86_64", "@machine": "q35", "#text": "hvm" } },
    },
  });
}
