import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import type { StateCheck, StateFinding } from "#host/upkeep/ports.ts";
import { isOurMachine } from "#job/machine-name.ts";
import { FOLDER, GONE, MAKING, NAMES } from "./attempt-folders.ts";

/** What `writeAtomically` leaves behind when its process dies in the middle: the file's name and twelve hexadecimal digits. */
const TEMPORARY = /^(.+)\.[0-9a-f]{12}\.tmp$/;

/** What is made or removed takes moments; after so long whoever did it is gone. */
const STALE_MS = 3_600_000;

/** Files of the state folder that must hold JSON. */
const JSON_FILES = [STATE_NAMES.drain, STATE_NAMES.quarantine, STATE_NAMES.acceleration] as const;

/** A place to look through: which names belong there, and which are ours and half made when they are old. */
type Place = {
  readonly path: string;
  isKnown(name: string): boolean;
  isHalf(name: string): boolean;
};

/** Looks through a state folder; `others` are names in it that rooms beside the host's own put there. */
export function openStateCheck(
  { path: state, installation }: { readonly path: string; readonly installation: string },
  others: readonly string[],
): StateCheck {
  const known: readonly string[] = [...Object.values(STATE_NAMES), ...others];
  const attempts = join(state, STATE_NAMES.attempts);
  const isHalfAttempt = (name: string) =>
    [MAKING, GONE].some((word) => name.startsWith(word) && FOLDER.test(name.slice(word.length)));
  const places: readonly Place[] = [
    { path: state, isKnown: (name) => known.includes(name), isHalf: isTemporary(known) },
    { path: attempts, isKnown: (name) => FOLDER.test(name), isHalf: isHalfAttempt },
    {
      path: join(state, STATE_NAMES.machines),
      // Half removed ones are the sweep's.
      isKnown: (name) => isOurMachine(name.replace(GONE, ""), installation),
      isHalf: () => false,
    },
  ];
  return {
    look: async (now) => {
      const inAttempts = (await names(attempts)).filter((name) => FOLDER.test(name));
      const all = [...places, ...inAttempts.map((name) => placeOfAttempt(join(attempts, name)))];
      const found: StateFinding[] = [];
      for (const place of all) found.push(...(await lookAt(place, now)));
      return [...found, ...(await unreadable(state))];
    },
  };
}

function placeOfAttempt(path: string): Place {
  const known: readonly string[] = Object.values(NAMES);
  return { path, isKnown: () => true, isHalf: isTemporary(known) };
}

function isTemporary(known: readonly string[]): (name: string) => boolean {
  return (name) => known.includes(TEMPORARY.exec(name)?.[1] ?? "");
}

async function lookAt(
  { path: folder, isKnown, isHalf }: Place,
  { wallMs, isSteady }: { readonly wallMs: number; readonly isSteady: boolean },
): Promise<readonly StateFinding[]> {
  const found: StateFinding[] = [];
  for (const name of await names(folder)) {
    const path = join(folder, name);
    if (!isHalf(name)) {
      if (!isKnown(name))
        found.push({ path, says: "nobody here knows what it is", isRemoved: false });
      continue;
    }
    const changedMs =
      (await stat(path).catch(() => undefined))?.mtimeMs ?? Number.POSITIVE_INFINITY;
    if (!isSteady || wallMs - changedMs < STALE_MS) continue;
    await rm(path, { recursive: true, force: true });
    found.push({ path, says: "it was half made when its process died", isRemoved: true });
  }
  return found;
}

async function unreadable(state: string): Promise<readonly StateFinding[]> {
  const found: StateFinding[] = [];
  for (const name of JSON_FILES) {
    const path = join(state, name);
    const says = await readFile(path, "utf8").then(
      (text) => (isJson(text) ? undefined : "it holds no JSON"),
      ({ code, message }: NodeJS.ErrnoException) => (code === "ENOENT" ? undefined : message),
    );
    if (says !== undefined) found.push({ path, says, isRemoved: false });
  }
  return found;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Of a folder that is not there none. */
async function names(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    return [];
  });
}
