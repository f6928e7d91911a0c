import { createHash } from "node:crypto";
import { TEST_STATE } from "#test/kit/house.ts";
import type { OwnLibvirt } from "#test/kit/own-libvirt.ts";

const DOMAIN = "somebody-elses";
const NETWORK = "somebody-elses-net";

/** Bridges are the host's, and others may drill on it at the same time. A device's name has 15 characters at most. */
const BRIDGE = `tbf-${createHash("sha256").update(TEST_STATE).digest("hex").slice(0, 8)}`;

/** Paused, it takes no time of the processor's; TCG, since any host can. */
const DOMAIN_XML = `<domain type="qemu"><name>${DOMAIN}</name><memory unit="MiB">16</memory><os><type arch="x86_64" machine="q35">hvm</type></os></domain>`;
const NETWORK_XML = `<network><name>${NETWORK}</name><bridge name="${BRIDGE}"/></network>`;

/** A domain and a network that are nobody's business: made before a drill, the same after it. */
export class Foreign {
  readonly #libvirt: OwnLibvirt;
  readonly #before: string;

  private constructor(libvirt: OwnLibvirt, before: string) {
    this.#libvirt = libvirt;
    this.#before = before;
  }

  /** Made once for each libvirt. */
  static async make(libvirt: OwnLibvirt): Promise<Foreign> {
    const known = await libvirt.virsh("list", "--all", "--name");
    if (!known.split("\n").includes(DOMAIN)) {
      await libvirt.define("domain", DOMAIN_XML);
      await libvirt.virsh("start", "--paused", DOMAIN);
      await libvirt.define("network", NETWORK_XML);
      await libvirt.virsh("net-start", NETWORK);
    }
    return new Foreign(libvirt, await look(libvirt));
  }

  /** What happened to them. */
  async wrong(): Promise<readonly string[]> {
    const now = await look(this.#libvirt);
    if (now === this.#before) return [];
    return [`V11 what is not ours is left alone: ${this.#before} became ${now}`];
  }
}

async function look(libvirt: OwnLibvirt): Promise<string> {
  const parts = [
    await libvirt.virsh("domstate", "--reason", DOMAIN),
    await libvirt.virsh("dumpxml", DOMAIN),
    await libvirt.virsh("net-dumpxml", NETWORK),
  ].map((part) => part.trim());
  return parts.join("\n");
}
