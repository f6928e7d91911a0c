import { chmod, copyFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Image, MachineOrder } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";

type Firmware = {
  /** Flash memory with the firmware's program, which all machines read. */
  readonly code: string;
  /** Flash memory as a machine finds it at its first start: the firmware's variables. */
  readonly variables: string;
  readonly debianPackage: string;
};

/** By the architecture of an image; none of them knows secure boot. */
export type Firmwares = Readonly<Record<Image["architecture"], Firmware>>;

/** Where Debian's packages put UEFI for QEMU: OVMF, and AAVMF, which is the same for ARM. */
export const FIRMWARES: Firmwares = {
  x86_64: {
    code: "/usr/share/OVMF/OVMF_CODE_4M.fd",
    variables: "/usr/share/OVMF/OVMF_VARS_4M.fd",
    debianPackage: "ovmf",
  },
  aarch64: {
    code: "/usr/share/AAVMF/AAVMF_CODE.fd",
    variables: "/usr/share/AAVMF/AAVMF_VARS.fd",
    debianPackage: "qemu-efi-aarch64",
  },
};

/** The machine's own variables, which its guest may write; they are there for as long as the machine's folder. */
export function variablesPath(folder: string): string {
  return join(folder, "nvram.fd");
}

/**
 * Gives the machine firmware variables of its own, fresh, mode 0600, when its image boots by UEFI; returns their path. Twice
 * begins anew. Throws host-tool-missing, host-disk-full.
 */
export async function readyFirmware(
  { folder, image }: Pick<MachineOrder, "folder" | "image">,
  firmwares = FIRMWARES,
): Promise<string | undefined> {
  if (image.boot.kind !== "uefi") return undefined;
  const { code, variables, debianPackage } = firmwares[image.architecture];
  const path = variablesPath(folder);
  try {
    await stat(code);
    // An earlier try may have given the file away already, and a file keeps its owner when it is written over.
    await rm(path, { force: true });
    await copyFile(variables, path);
    await chmod(path, 0o600);
    return path;
  } catch (error) {
    throw explain(error, { name: image.name, debianPackage, templates: [code, variables] });
  }
}

function explain(
  error: unknown,
  about: { name: string; debianPackage: string; templates: readonly string[] },
): unknown {
  const { code, path = "" } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new Fault("host-disk-full", "the machine's firmware variables do not fit", {
      cause: error,
    });
  if (code !== "ENOENT" || !about.templates.includes(path)) return error;
  return new Fault(
    "host-tool-missing",
    `image ${about.name} boots by UEFI, and there is no ${path}. Run: apt-get install ${about.debianPackage}`,
    { cause: error, evidence: { packages: [about.debianPackage] } },
  );
}
