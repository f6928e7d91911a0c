import type { MachineOrder } from "#host/runner/ports.ts";
import { machineUuid } from "#job/machine-name.ts";
import { FIRMWARES, variablesPath } from "./firmware.ts";
import { machineOwnership } from "./ownership.ts";
import type { QemuUser } from "./qemu-reach.ts";
import { GUEST_MAC } from "./slot-network.ts";
import { toXml, type XmlNode } from "./xml.ts";

/** The machine's serial console, written by virtlogd, which rotates it at a size limit (virtlogd.conf, max_size). */
export function consolePath(folder: string): string {
  return `${folder}/console.log`;
}

/**
 * One machine as libvirt wants it (https://libvirt.org/formatdomain.html). A closed list of devices: nothing here comes
 * from a job but sizes that were checked, and nothing from an image but its own paths and kernel command line. `owner` is
 * QEMU's user when disk and seed belong to it already; undefined leaves owners to libvirt.
 */
export function domainXml(
  order: MachineOrder,
  networkName: string,
  owner: QemuUser | undefined,
): string {
  const { identity, image } = order;
  return toXml({
    domain: {
      "@type": order.acceleration === "kvm" ? "kvm" : "qemu",
      "@xmlns:qemu": QEMU_NAMESPACE,
      name: order.name,
      uuid: machineUuid(identity),
      metadata: machineOwnership(identity, order.slot),
      memory: { "@unit": "MiB", "#text": order.memoryMiB },
      vcpu: order.cpus,
      os: {
        type: {
          "@arch": image.architecture,
          "@machine": MACHINE_TYPE[image.architecture],
          "#text": "hvm",
        },
        ...wayIn(order),
      },
      features: { acpi: "", ...(image.architecture === "x86_64" ? { apic: "" } : {}) },
      cpu: { "@mode": order.acceleration === "kvm" ? "host-passthrough" : "maximum" },
      clock: { "@offset": "utc" },
      on_poweroff: "destroy",
      // "destroy" here would make a reboot look like a clean power-off.
      on_reboot: "restart",
      on_crash: "preserve",
      devices: devices(order, networkName),
      ...(owner === undefined ? {} : { seclabel: leaveOwners(owner) }),
      "qemu:capabilities": { "qemu:del": { "@capability": ONE_BY_ONE } },
    },
  });
}

function wayIn({ folder, image: { architecture, boot } }: MachineOrder): XmlNode {
  if (boot.kind === "kernel")
    return { kernel: boot.kernel, initrd: boot.initrd, cmdline: boot.commandLine };
  // Named by path: libvirt's own choice of firmware keeps the variables in a folder of its own, where they would stay behind.
  return {
    loader: { "@readonly": "yes", "@type": "pflash", "#text": FIRMWARES[architecture].code },
    nvram: variablesPath(folder),
  };
}

/**
 * Without this libvirt gives every file it opens to QEMU's user, the image's shared ones too, and an escaped guest could
 * change those for all later jobs. So nothing is relabelled: the caller has given away the machine's own files.
 */
function leaveOwners({ uid, gid }: QemuUser): XmlNode {
  return { "@type": "static", "@model": "dac", "@relabel": "no", label: `+${uid}:+${gid}` };
}

const QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0";

/**
 * With this capability of QEMU libvirt asks it, before the guest may run, for each of some 400 CPU features by a call of its
 * own: 0.3 s of every start. Without it libvirt asks for all at once. It notes that the domain is "tainted" by the choice.
 * (https://libvirt.org/drvqemu.html, "Control of QEMU capabilities"; libvirt keeps the names of old capabilities for good,
 * since the state of running domains holds them.)
 */
const ONE_BY_ONE = "cpu-unavailable-features";

/** The machine types that QEMU's security policy covers (https://www.qemu.org/docs/master/system/security.html). */
const MACHINE_TYPE = { x86_64: "q35", aarch64: "virt" } as const;

function devices(order: MachineOrder, networkName: string): XmlNode {
  return {
    disk: [rootDisk(order), seedDisk(order)],
    // Without this libvirt adds a USB controller that no guest of ours needs and each one has to probe.
    controller: { "@type": "usb", "@model": "none" },
    interface: {
      "@type": "network",
      mac: { "@address": GUEST_MAC },
      source: { "@network": networkName },
      model: { "@type": "virtio" },
      // The card's boot ROM: no machine boots from the network, and running it costs 0.2 s of an emulated start.
      rom: { "@enabled": "no" },
    },
    serial: {
      "@type": "file",
      source: { "@path": consolePath(order.folder) },
      target: { "@port": "0" },
    },
    video: { model: { "@type": order.image.architecture === "x86_64" ? "vga" : "virtio" } },
    rng: { "@model": "virtio", backend: { "@model": "random", "#text": "/dev/urandom" } },
    memballoon: { "@model": "none" },
    // pvpanic: libvirt hears of a kernel panic when the guest has the driver.
    ...(order.image.architecture === "x86_64" ? { panic: { "@model": "isa" } } : {}),
  };
}

/**
 * The overlay with its whole backing chain spelled out: else libvirtd follows, opens and even changes the owner of
 * whatever file a header names. `unsafe` ignores flushes, which is right for a disk that nobody keeps.
 */
function rootDisk({ diskPath, image }: MachineOrder): XmlNode {
  return {
    "@type": "file",
    "@device": "disk",
    driver: { "@name": "qemu", "@type": "qcow2", "@cache": "unsafe", "@discard": "unmap" },
    source: { "@file": diskPath },
    backingStore: {
      "@type": "file",
      format: { "@type": image.disk.format },
      source: { "@file": image.disk.path },
      backingStore: "",
    },
    target: { "@dev": "vda", "@bus": "virtio" },
  };
}

function seedDisk({ seedPath }: MachineOrder): XmlNode {
  return {
    "@type": "file",
    "@device": "disk",
    driver: { "@name": "qemu", "@type": "raw", "@cache": "unsafe" },
    source: { "@file": seedPath },
    backingStore: "",
    target: { "@dev": "vdb", "@bus": "virtio" },
    readonly: "",
  };
}
