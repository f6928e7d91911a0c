import { createHash } from "node:crypto";

/**
 * The only writer and parser of machine names. A machine's libvirt name is also the name of its folder and of its lock:
 *
 *     testbed-<installation: 8 hex>-<job and attempt: 16 hex>
 *
 * Names from outside are data and never become part of it; the same attempt always gives the same name and UUID, so
 * libvirt itself refuses to start an attempt twice.
 */
const PATTERN = /^testbed-([0-9a-f]{8})-([0-9a-f]{16})$/;

/** What ties a machine to its owner; written into the machine's libvirt metadata too. */
export type MachineIdentity = {
  /** Id of this testbed installation: 32 hex digits, made once per state folder. */
  readonly installation: string;
  readonly job: string;
  /** Counted from 1. */
  readonly attempt: number;
};

/** The libvirt name of an attempt's machine. */
export function machineName(identity: MachineIdentity): string {
  return `testbed-${identity.installation.slice(0, 8)}-${digest(identity).slice(0, 16)}`;
}

/** The UUID of an attempt's machine, in RFC 9562 version 8 layout (custom, here from SHA-256). */
export function machineUuid(identity: MachineIdentity): string {
  const hex = digest(identity);
  const variant = ((Number.parseInt(hex.slice(32, 33), 16) & 0x3) | 0x8).toString(16);
  return [
    hex.slice(16, 24),
    hex.slice(24, 28),
    `8${hex.slice(28, 31)}`,
    `${variant}${hex.slice(33, 36)}`,
    hex.slice(36, 48),
  ].join("-");
}

/** True when `name` is a machine of this installation: the first half of the proof that it is ours to touch. */
export function isOurMachine(name: string, installation: string): boolean {
  return PATTERN.exec(name)?.[1] === installation.slice(0, 8);
}

function digest({ installation, job, attempt }: MachineIdentity): string {
  return createHash("sha256")
    .update(JSON.stringify([installation, job, attempt]))
    .digest("hex");
}
