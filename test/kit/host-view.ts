import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { HostView } from "#host/doctor/host-view.ts";

/** Nobody's: QEMU's user as far as these tests go. */
const QEMU_USER = { uid: 64_998, gid: 64_998 };

const PROC = {
  meminfo: "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n",
  "sys/net/ipv6/conf/all/disable_ipv6": "0\n",
  "sys/net/ipv6/conf/default/disable_ipv6": "0\n",
  "sys/net/ipv4/ip_forward": "1\n",
};

/** A host in a folder on which all is well; `changes` says what is not. */
export async function hostView(folder: string, changes: Partial<HostView> = {}): Promise<HostView> {
  await setProc(folder, PROC);
  await mkdir(join(folder, "bin"), { recursive: true });
  await mkdir(join(folder, "state"), { recursive: true });
  return {
    userId: 0,
    stateFolder: join(folder, "state"),
    libvirtSockets: [join(folder, "virtqemud-sock"), join(folder, "libvirt-sock")],
    virtlogdSocket: join(folder, "virtlogd-sock"),
    kvmDevice: join(folder, "kvm"),
    procFolder: join(folder, "proc"),
    firmware: { files: [join(folder, "CODE.fd"), join(folder, "VARS.fd")], debianPackage: "ovmf" },
    programFolders: [join(folder, "bin")],
    hasSystemd: false,
    setupFolder: "/opt/testbed/setup",
    libvirt: async () => ({
      libvirtVersion: "9.0.0",
      qemuVersion: "7.2.0",
      qemuUser: QEMU_USER,
      tookMs: 12,
    }),
    emulator: async () => "/usr/bin/qemu-system-x86_64",
    acceleration: async () => undefined,
    ...changes,
  };
}

/** Writes files of the host's /proc. */
export async function setProc(
  folder: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, "proc", name);
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, content);
  }
}
