import { readFile, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Static } from "typebox";
import { compileSchema } from "#lib/validate.ts";
import { DIGEST_PATTERN } from "./manifest.ts";
import { makeShared, writeShared } from "./shared.ts";

/**
 * What this host knows of an image beside what the image says of itself, below `facts/<digest>/`: files of their own, since
 * an image is never changed. A fact that is missing, damaged or of a newer testbed counts as none; nothing depends on one but
 * what people are told and what is pruned first.
 */

const time = {
  type: "string",
  pattern: "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,3})?Z$",
} as const;
const text = { type: "string", maxLength: 2000 } as const;

const ORIGIN_SCHEMA = {
  type: "object",
  required: ["kind", "by", "at"],
  properties: {
    kind: { enum: ["recipe", "catalogue", "import"] },
    /** The recipe's folder, the catalogue's name, or the file that was imported. */
    by: text,
    at: time,
  },
} as const;

const SMOKE_SCHEMA = {
  type: "object",
  required: ["outcome", "at", "acceleration", "image"],
  properties: {
    outcome: { enum: ["passed", "failed"] },
    why: text,
    at: time,
    acceleration: { enum: ["kvm", "tcg"] },
    /** `name:version` that was booted. */
    image: text,
  },
} as const;

/** Who brought an image into the store; the first that did. */
export type Origin = Static<typeof ORIGIN_SCHEMA>;

/** How the last smoke boot of an image on this host ended. */
export type Smoke = Static<typeof SMOKE_SCHEMA>;

const NAMES = { origin: "origin.json", smoke: "smoke.json", used: "used" } as const;

const violations = {
  origin: compileSchema(ORIGIN_SCHEMA),
  smoke: compileSchema(SMOKE_SCHEMA),
};

/** The folder of an image's facts. */
export function factsFolder(store: string, digest: string): string {
  if (!new RegExp(DIGEST_PATTERN).test(digest)) throw new TypeError(`no digest: ${digest}`);
  return join(store, "facts", digest);
}

export async function readOrigin(store: string, digest: string): Promise<Origin | undefined> {
  return (await read(store, digest, "origin")) as Origin | undefined;
}

/** Does nothing when the image has an origin. */
export async function noteOrigin(store: string, digest: string, origin: Origin): Promise<void> {
  if ((await readOrigin(store, digest)) !== undefined) return;
  await write(store, digest, NAMES.origin, origin);
}

export async function readSmoke(store: string, digest: string): Promise<Smoke | undefined> {
  return (await read(store, digest, "smoke")) as Smoke | undefined;
}

/** Replaces what was known. */
export async function noteSmoke(store: string, digest: string, smoke: Smoke): Promise<void> {
  await write(store, digest, NAMES.smoke, smoke);
}

/** Notes how an image's files are: see seal.ts. Never throws: without it they are merely read again. */
export async function noteSeal(store: string, digest: string, seal: object): Promise<void> {
  await write(store, digest, "seal.json", seal).catch(() => undefined);
}

/**
 * Notes that an image is used now. Never throws: no job fails because a disk is full or the store belongs to somebody else;
 * then the image merely looks older than it is.
 */
export async function touchUsed(store: string, digest: string): Promise<void> {
  const path = join(factsFolder(store, digest), NAMES.used);
  const now = new Date();
  try {
    await utimes(path, now, now).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      await write(store, digest, NAMES.used, "");
    });
  } catch {
    // See above.
  }
}

/** When an image was used last, in milliseconds since 1970; undefined when nobody noted any use. */
export async function lastUsedMs(store: string, digest: string): Promise<number | undefined> {
  const found = await stat(join(factsFolder(store, digest), NAMES.used)).catch(() => undefined);
  return found?.mtimeMs;
}

async function read(store: string, digest: string, fact: "origin" | "smoke"): Promise<unknown> {
  try {
    const path = join(factsFolder(store, digest), NAMES[fact]);
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    return violations[fact](value).length === 0 ? value : undefined;
  } catch {
    return undefined;
  }
}

async function write(store: string, digest: string, name: string, value: unknown): Promise<void> {
  const path = join(factsFolder(store, digest), name);
  await makeShared(store, "facts", digest);
  await writeShared(store, path, value === "" ? "" : `${JSON.stringify(value, null, 2)}\n`);
}
