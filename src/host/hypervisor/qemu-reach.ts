import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { MachineOrder } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { groupId, groupsOf, unreachableParent } from "#lib/path-reach.ts";
import type { Libvirt } from "#libvirt/client.ts";
import { translating } from "./libvirt-fault.ts";
import { fromXml } from "./xml.ts";

/** Whom libvirt runs QEMU as. */
export type QemuUser = { readonly uid: number; readonly gid: number };

/**
 * QEMU's user as libvirt's capabilities tell it; undefined when libvirt does not switch users (session mode). Throws
 * libvirt-unreachable.
 */
export async function qemuUser(
  libvirt: Libvirt,
  signal: AbortSignal,
): Promise<QemuUser | undefined> {
  const context = {
    doing: "to tell whom QEMU runs as",
    refused: "machine-refused",
    signal,
  } as const;
  const capabilities = await translating(context, () => libvirt.host.capabilities({ signal }));
  const models = fromXml(capabilities).at("capabilities", "host").all("secmodel");
  const dac = models.find((model) => model.at("model").text === "dac");
  const match = /^\+(\d+):\+(\d+)$/.exec(dac?.at("baselabel").text ?? "");
  return match === null ? undefined : { uid: Number(match[1]), gid: Number(match[2]) };
}

/**
 * The group that QEMU must run as. A label of our own costs QEMU's user its other groups, so under KVM the one group that
 * it keeps must be the device's, if the device is open to a group at all (udev makes it root:kvm 0660). Where we do not see
 * the device (systemd's PrivateDevices=) it is taken to be as udev makes it.
 */
export async function withDeviceGroup(
  user: QemuUser,
  acceleration: MachineOrder["acceleration"],
): Promise<QemuUser> {
  if (acceleration === "tcg") return user;
  const device = await stat("/dev/kvm").catch(() => undefined);
  const gid = device === undefined ? await groupId("kvm") : groupOf(device);
  if (gid === undefined) return user;
  return (await groupsOf(user.uid)).includes(gid) ? { ...user, gid } : user;
}

function groupOf({ mode, gid }: Stats): number | undefined {
  return (mode & GROUP_READS_AND_WRITES) === GROUP_READS_AND_WRITES ? gid : undefined;
}

const GROUP_READS_AND_WRITES = 0o060;

/**
 * Checks that QEMU's user can search every folder above the machine's files: otherwise QEMU's own error names a file that
 * is there and says "Permission denied". Throws host-path-closed with the folder and the command that opens it.
 */
export async function checkReach(order: MachineOrder, { uid, gid }: QemuUser): Promise<void> {
  const { image, diskPath, seedPath } = order;
  const { boot } = image;
  const beside = boot.kind === "kernel" ? [boot.kernel, boot.initrd] : [];
  const files = [diskPath, seedPath, image.disk.path, ...beside];
  const groups = [...new Set([gid, ...(await groupsOf(uid))])];
  const oneOfEachFolder = new Map(files.map((file) => [dirname(file), file])).values();
  for (const file of oneOfEachFolder) {
    const closed = await unreachableParent(file, uid, groups);
    if (closed === undefined) continue;
    throw new Fault(
      "host-path-closed",
      `QEMU runs as user ${uid} and cannot pass through the folder ${closed} to ${file}. Open it: chmod o+x '${closed}'; or put the state folder elsewhere (TESTBED_STATE)`,
      { stage: "preparing", evidence: { folder: closed, uid } },
    );
  }
}
