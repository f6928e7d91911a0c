import { readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { HostFault, QuarantineFile, QuarantineRecord } from "#host/daemon/ports.ts";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import { syncFolder, writeAtomically } from "#lib/atomic-file.ts";

/**
 * What is held against the host whose state folder this is. A file that cannot be understood counts as a quarantine whose pause is
 * over: a health check decides.
 */
export async function openQuarantineFile(state: string): Promise<QuarantineFile> {
  const path = join(state, STATE_NAMES.quarantine);
  return {
    known: await read(path),
    async write(record) {
      if (record !== undefined) return await writeAtomically(path, `${JSON.stringify(record)}\n`);
      await rm(path, { force: true });
      await syncFolder(dirname(path));
    },
  };
}

async function read(path: string): Promise<QuarantineRecord | undefined> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const message = `${path} cannot be read`;
  const unknown = { about: "nobody knows what", code: "bug", message };
  return parsed(text) ?? { faults: [unknown], pauses: 1, until: { boot: "unknown", uptimeMs: 0 } };
}

function parsed(text: string): QuarantineRecord | undefined {
  try {
    const { faults, pauses, until } = JSON.parse(text) as Partial<QuarantineRecord>;
    if (!Array.isArray(faults) || !faults.every(isFault)) return undefined;
    if (!Number.isSafeInteger(pauses) || pauses === undefined || pauses < 0) return undefined;
    if (until === undefined) return { faults, pauses };
    const isTime = typeof until.boot === "string" && Number.isFinite(until.uptimeMs);
    return isTime ? { faults, pauses, until } : undefined;
  } catch {
    return undefined;
  }
}

function isFault(value: Partial<HostFault> | null): value is HostFault {
  const { about, code, message } = value ?? {};
  return [about, code, message].every((text) => typeof text === "string");
}
