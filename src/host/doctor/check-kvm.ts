import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import { groupsOf } from "#lib/path-reach.ts";
import { type Finding, ok, quoted, warning } from "./finding.ts";
import type { HostView } from "./host-view.ts";

const READ_AND_WRITE = 0o6;

/** Whether there is a KVM device and QEMU's user may open it. Says nothing on whether guests run under it. */
export async function checkKvmDevice(view: HostView): Promise<Finding> {
  const { kvmDevice } = view;
  const device = await stat(kvmDevice).catch(() => undefined);
  if (device === undefined)
    return warning(
      `there is no ${kvmDevice}: machines are emulated, which is many times slower`,
      "modprobe kvm_intel || modprobe kvm_amd",
    );
  const user = await view.libvirt().then(
    ({ qemuUser }) => qemuUser,
    () => undefined,
  );
  if (user === undefined) return ok(kvmDevice);
  const groups = [user.gid, ...(await groupsOf(user.uid))];
  if (mayOpen(device, user.uid, groups)) return ok(`${kvmDevice}, open to QEMU's user`);
  const device_ = quoted(kvmDevice);
  return warning(
    `${kvmDevice} is closed to QEMU's user ${user.uid}: no KVM, and libvirt takes seconds for each answer`,
    `chgrp kvm ${device_}; chmod 660 ${device_}`,
  );
}

/** What the boot probe remembers. */
export async function checkAcceleration(view: HostView): Promise<Finding> {
  const remembered = await view.acceleration();
  if (remembered === undefined) return ok("not tried since this host booted; the first run tries");
  const { acceleration, why } = remembered;
  if (acceleration === "kvm") return ok(`kvm: ${why}`);
  return warning(
    `machines are emulated: ${why}. To have it tried again, remove the file`,
    `rm ${quoted(join(view.stateFolder, STATE_NAMES.acceleration))}`,
  );
}

function mayOpen({ uid, gid, mode }: Stats, userId: number, groups: readonly number[]): boolean {
  if (userId === 0) return true;
  const shift = uid === userId ? 6 : groups.includes(gid) ? 3 : 0;
  return ((mode >> shift) & READ_AND_WRITE) === READ_AND_WRITE;
}
