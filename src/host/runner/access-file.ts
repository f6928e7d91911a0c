import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeAtomically } from "#lib/atomic-file.ts";
import { MACHINE_FILES } from "./machine-record.ts";
import type { Access } from "./ports.ts";

/**
 * Keeps what lets this host into a guest in the machine's own folder, readable for us alone, for whoever takes the attempt up again.
 * It goes with the folder. Twice is safe.
 */
export async function writeAccess(folder: string, access: Access): Promise<void> {
  const content = { ...access, hostKey: access.hostKey.toString("base64") };
  await writeAtomically(join(folder, MACHINE_FILES.access), JSON.stringify(content), 0o600);
}

/** What was kept there; undefined when it is not there or damaged. */
export async function readAccess(folder: string): Promise<Access | undefined> {
  const text = await readFile(join(folder, MACHINE_FILES.access), "utf8").catch(() => "null");
  try {
    const { login, clientKey, hostKey, seedPath } = JSON.parse(text) as Record<string, string>;
    if (login === undefined || clientKey === undefined) return undefined;
    if (hostKey === undefined || seedPath === undefined) return undefined;
    return { login, clientKey, hostKey: Buffer.from(hostKey, "base64"), seedPath };
  } catch {
    return undefined;
  }
}
