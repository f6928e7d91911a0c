import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type AttemptBook, type AttemptFolder, JournalBroken } from "#host/daemon/ports.ts";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import { syncFolder, writeAtomically } from "#lib/atomic-file.ts";
import { makeFolders } from "#lib/make-folders.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import { openAttemptJournal } from "./attempt-journal.ts";
import { whenRoom } from "./when-room.ts";

/** Every name in an attempt's folder. */
export const NAMES = {
  /** The lease, written before the folder gets its name. */
  grant: "grant.json",
  results: "results",
  inputs: "inputs",
  output: "output.log",
  /** What it did so far; see `journal-text.ts`. */
  journal: "journal",
  /** How it ended; missing while it runs. */
  verdict: "verdict.json",
  /** Why the service takes nothing more of it. */
  setAside: "set-aside.txt",
} as const;

/** `isJournalled` is missing in what testbed 0.1.0 wrote, which kept no journal. */
type Begun = Pick<AttemptFolder, "grant" | "begunAtMs"> & { readonly isJournalled?: true };

/** What folders of attempts are called; one that is being made or removed has a word before that. */
export const FOLDER = /^[0-9a-f]{16}-[0-9]{1,3}$/;
export const MAKING = "making-";
export const GONE = "gone-";

/**
 * What this host remembers of attempts: a folder for each, `attempts/<job>-<attempt>/`, where the evidence lies beside what is known.
 * Files and not a database: each changes once, by rename, so there is nothing to recover after a crash, and an admin can look at it
 * and remove it. Safe to open twice, but one daemon at a time is to use it.
 */
export async function openAttemptBook(state: string): Promise<AttemptBook> {
  const folder = join(state, STATE_NAMES.attempts);
  await makeFolders(folder, 0o700);
  const names = await readdir(folder);
  const halves = names.filter((name) => name.startsWith(MAKING) || name.startsWith(GONE));
  for (const name of halves) await rm(join(folder, name), { recursive: true, force: true });
  const requestPath = join(state, STATE_NAMES.requestId);
  let requestId = await readFile(requestPath, "utf8").then(
    (text) => (/^[0-9a-f]{32}\n$/.test(text) ? text.trim() : undefined),
    () => undefined,
  );
  const newRequestId = async () => {
    // It begins with the time, so that ids made together lie together in the service's index.
    const made = `${Date.now().toString(16).padStart(12, "0")}${randomBytes(10).toString("hex")}`;
    await writeAtomically(requestPath, `${made}\n`, 0o600);
    requestId = made;
    return made;
  };
  /** Noted on disk, but the id that led to it could not be replaced yet: the same lease comes again, and begins then. */
  const halfBegun = new Map<string, Begun>();
  return {
    requestId: async () => requestId ?? (await newRequestId()),
    begin: async (grant) => {
      const name = `${grant.jobId}-${grant.attempt}`;
      if (!halfBegun.has(name)) {
        const begun = { grant, begunAtMs: Date.now(), isJournalled: true } as const;
        if (await note(folder, name, begun)) halfBegun.set(name, begun);
      }
      await syncFolder(folder);
      await newRequestId();
      const begun = halfBegun.get(name);
      halfBegun.delete(name);
      return begun === undefined ? undefined : folderOf(folder, name, begun);
    },
    open: async () => {
      const found = (await readdir(folder)).filter((name) => FOLDER.test(name));
      const known = await Promise.all(found.map((name) => openOne(folder, name)));
      return known.filter((attempt) => attempt !== undefined);
    },
  };
}

/** Makes an attempt's folder, whole or not at all; false when there is one. */
async function note(folder: string, name: string, begun: Begun): Promise<boolean> {
  const making = join(folder, `${MAKING}${name}`);
  await rm(making, { recursive: true, force: true });
  await mkdir(join(making, NAMES.results), { recursive: true, mode: 0o700 });
  await mkdir(join(making, NAMES.inputs), { mode: 0o700 });
  await writeAtomically(join(making, NAMES.grant), `${JSON.stringify(begun)}\n`, 0o600);
  try {
    await rename(making, join(folder, name));
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    throw error;
  }
  return true;
}

/** An attempt as it was left; undefined when it was set aside, or when its lease cannot be read: then nobody can be told of it. */
async function openOne(folder: string, name: string): Promise<AttemptFolder | undefined> {
  const path = join(folder, name);
  const aside = await readFile(join(path, NAMES.setAside)).catch(() => undefined);
  if (aside !== undefined) return undefined;
  const begun = await readJson<Begun>(join(path, NAMES.grant));
  return begun === undefined ? undefined : folderOf(folder, name, begun);
}

const BY_OLDER = "an older testbed began the attempt, which noted nothing of what it did";

function folderOf(folder: string, name: string, begun: Begun): AttemptFolder {
  const path = join(folder, name);
  let damage: Error | undefined;
  const setAside = async (why: string) => {
    await whenRoom(() => writeAtomically(join(path, NAMES.setAside), `${why}\n`, 0o600));
    await rm(join(path, NAMES.inputs), { recursive: true, force: true });
  };
  return {
    ...begun,
    results: join(path, NAMES.results),
    inputs: join(path, NAMES.inputs),
    output: join(path, NAMES.output),
    async journal() {
      if (begun.isJournalled === undefined) return new Error(BY_OLDER);
      try {
        return await openAttemptJournal(join(path, NAMES.journal));
      } catch (error) {
        if (error instanceof JournalBroken) throw error;
        // What cannot be read may hold anything: a disk that answers no more is as bad as one that answers wrongly.
        damage = error as Error;
        return damage;
      }
    },
    verdict: () => readJson<VerdictReport>(join(path, NAMES.verdict)),
    async settle(report) {
      const file = join(path, NAMES.verdict);
      if ((await readJson(file)) !== undefined) return;
      const text = `${JSON.stringify(report)}\n`;
      await whenRoom(() => writeAtomically(file, text, 0o600)).catch((cause: Error) => {
        throw new JournalBroken(`the verdict ${file} cannot be written: ${cause.message}`, {
          cause,
        });
      });
    },
    async forget() {
      if (damage !== undefined)
        return await setAside(`its journal cannot be read: ${damage.message}`);
      const gone = join(folder, `${GONE}${name}`);
      await rename(path, gone).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
      await rm(gone, { recursive: true, force: true });
    },
    setAside,
  };
}

async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}
