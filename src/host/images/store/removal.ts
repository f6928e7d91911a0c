import { randomBytes } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder } from "#lib/atomic-file.ts";
import { entryPath, readEntries, withoutDigests, writeEntry } from "./entry.ts";
import { factsFolder, readSmoke } from "./facts.ts";
import { heldDigests, takeStoreLock } from "./holds.ts";
import { machinesByDigest, type Place } from "./in-use.ts";
import { namesOf, type StoredImage, usedAtMs } from "./inventory.ts";
import { imageFolder, tryLockName } from "./layout.ts";
import { makeShared } from "./shared.ts";

/** Where an image goes: to its end, or to where somebody can look at it. */
type Target = "removing" | "damaged";

/** Who uses an image, at a moment when nobody can begin to. */
type Use = Pick<
  StoredImage,
  "digest" | "usedMs" | "currentOf" | "previousOf" | "versionOf" | "heldFor" | "machines"
>;

/**
 * Takes an image out of the store unless `objection` finds a reason against it among who uses it now; returns that reason,
 * or undefined when the image is out. Crash-safe at each step: names forget it first, then its folder is renamed, then its
 * bytes go; what a crash leaves in between is an image without a name, or a folder in `removing`, for the next prune.
 * Why nobody is left without an image that he holds: see holds.ts. A name that somebody is building is not touched.
 */
export async function removeImage(
  place: Place,
  digest: string,
  objection: (use: Use) => string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const gone = await takeOut({ ...place, target: "removing" }, digest, objection, signal);
  if ("why" in gone) return gone.why;
  await rm(gone.path, { recursive: true, force: true });
  // That it failed is remembered for a while, so that nobody fetches it right again: see recover.ts.
  if ((await readSmoke(place.store, digest))?.outcome !== "failed")
    await rm(factsFolder(place.store, digest), { recursive: true, force: true });
  return undefined;
}

/**
 * Sets a damaged image aside, so that its place is free for a whole one; names go on meaning it, and whoever resolves one
 * builds or fetches it again. Returns where it is now, or who uses it and so keeps it where it is.
 */
export async function setAside(
  place: Place,
  digest: string,
  signal: AbortSignal,
): Promise<{ readonly path: string } | { readonly why: string }> {
  return await takeOut({ ...place, target: "damaged" }, digest, usedBy, signal);
}

/** Who would miss an image's files. */
function usedBy({ heldFor, machines }: Use): string | undefined {
  if (machines.length > 0) return `it is the disk of machine ${machines.join(", ")}`;
  return heldFor.size > 0 ? "it is held by a running attempt" : undefined;
}

async function takeOut(
  { target, ...place }: Place & { readonly target: Target },
  digest: string,
  objection: (use: Use) => string | undefined,
  signal: AbortSignal,
): Promise<{ readonly path: string } | { readonly why: string }> {
  const { store } = place;
  const folder = await makeShared(store, target);
  const path = join(folder, `${digest}.${randomBytes(4).toString("hex")}`);
  using scope = new DisposableStack();
  scope.use(await takeStoreLock(store, signal));
  const entries = await readEntries(store);
  const use = {
    digest,
    usedMs: await usedAtMs(store, digest),
    ...namesOf(digest, entries),
    heldFor: (await heldDigests(store)).get(digest) ?? new Set<never>(),
    machines: (await machinesByDigest(place)).get(digest) ?? [],
  };
  const why = objection(use);
  if (why !== undefined) return { why };
  if (target === "removing") {
    const busy = await forget(store, digest, scope);
    if (busy !== undefined) return { why: `${busy} is being built or changed` };
  }
  await rename(imageFolder(store, digest), path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  await syncFolder(store);
  return { path };
}

/** Every name forgets an image, all or none of them; the name that somebody else is at, if there is one. */
async function forget(
  store: string,
  digest: string,
  scope: DisposableStack,
): Promise<string | undefined> {
  const isIt = (one: string) => one === digest;
  const known = [...(await readEntries(store))].filter(([, { current, previous, versions }]) =>
    [current, previous, ...Object.values(versions)].includes(digest),
  );
  for (const [name] of known) {
    const lock = tryLockName(store, name);
    if (lock === undefined) return name;
    scope.use(lock);
  }
  for (const [name] of known) {
    // As it is under its lock.
    const entry = (await readEntries(store)).get(name);
    const left = entry && withoutDigests(entry, isIt);
    if (left !== undefined) await writeEntry(store, name, left);
    else await rm(entryPath(store, name), { force: true });
  }
  return undefined;
}
