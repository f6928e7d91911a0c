import { randomBytes } from "node:crypto";
import { chmod, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Place } from "./in-use.ts";
import { recoverStore } from "./recover.ts";
import { setAside } from "./removal.ts";
import { makeShared } from "./shared.ts";
import { type Damage, RUINS } from "./verify.ts";

/**
 * Mends what `verifyStore` found, as far as it can be mended: an image that is not what it says is set aside, so that whoever
 * names it gets it built or fetched again; modes are put right; strange files go to `damaged` as well; the rest is as after a
 * crash. Returns what it did and could not do, in words. Changes no file of an image.
 */
export async function repairStore(
  place: Place,
  damages: readonly Damage[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { store } = place;
  const said: string[] = [];
  const ruined = new Set<string>();
  for (const { kind, digest } of damages)
    if (RUINS.has(kind) && digest !== undefined) ruined.add(digest);
  for (const digest of ruined) {
    signal.throwIfAborted();
    const aside = await setAside(place, digest, signal);
    said.push(
      "path" in aside
        ? `${digest}: set aside in ${aside.path}`
        : `${digest}: stays, since ${aside.why}`,
    );
  }
  for (const { kind, path, digest } of damages) {
    if (digest !== undefined && ruined.has(digest)) continue;
    if (kind === "mode") {
      await chmod(join(store, path), path === digest ? 0o755 : 0o444);
      said.push(`${path}: mode put right`);
    }
    if (kind === "foreign") said.push(`${path}: moved to ${await moveAway(store, path)}`);
  }
  return [...said, ...(await recoverStore(store, signal))];
}

async function moveAway(store: string, path: string): Promise<string> {
  const folder = await makeShared(store, "damaged");
  const target = join(folder, `foreign.${randomBytes(4).toString("hex")}`);
  await rename(join(store, path), target);
  return target;
}
