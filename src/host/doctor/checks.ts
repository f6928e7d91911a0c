import { checkAcceleration, checkKvmDevice } from "./check-kvm.ts";
import { checkAnswer, checkQemu, checkSocket, checkVirtlogd } from "./check-libvirt.ts";
import { checkForwarding, checkIpv6, checkNftables, checkUser } from "./check-network.ts";
import { checkDisk, checkMemory, checkStateFolder } from "./check-room.ts";
import { checkFirmware, checkImageTools, checkRunTools } from "./check-tools.ts";
import type { Check } from "./examine.ts";

/** A look at files or a socket of this host. */
const QUICK_MS = 5_000;

/** libvirt's first connection asks every QEMU what it can do, which took 12 s where KVM is closed to it. */
const LIBVIRT_MS = 25_000;

/** Everything that `testbed doctor` looks at, in the order of its report. */
export const CHECKS: readonly Check[] = [
  { name: "user", deadlineMs: QUICK_MS, look: checkUser },
  { name: "libvirt socket", deadlineMs: QUICK_MS, look: checkSocket },
  { name: "libvirt", deadlineMs: LIBVIRT_MS, look: checkAnswer },
  { name: "virtlogd", deadlineMs: QUICK_MS, look: checkVirtlogd },
  { name: "QEMU", deadlineMs: LIBVIRT_MS, look: checkQemu },
  { name: "KVM device", deadlineMs: LIBVIRT_MS, look: checkKvmDevice },
  { name: "acceleration", deadlineMs: QUICK_MS, look: checkAcceleration },
  { name: "tools for machines", deadlineMs: QUICK_MS, look: checkRunTools },
  { name: "UEFI", deadlineMs: QUICK_MS, look: checkFirmware },
  { name: "tools for images", deadlineMs: QUICK_MS, look: checkImageTools },
  { name: "state folder", deadlineMs: LIBVIRT_MS, look: checkStateFolder },
  { name: "disk space", deadlineMs: QUICK_MS, look: checkDisk },
  { name: "memory", deadlineMs: QUICK_MS, look: checkMemory },
  { name: "IPv6", deadlineMs: QUICK_MS, look: checkIpv6 },
  { name: "IPv4 forwarding", deadlineMs: QUICK_MS, look: checkForwarding },
  { name: "nftables", deadlineMs: QUICK_MS, look: checkNftables },
];
