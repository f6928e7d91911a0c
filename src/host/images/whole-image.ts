import { existsSync } from "node:fs";
import type { Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { imageFolder } from "./store/layout.ts";
import { setAside } from "./store/removal.ts";
import { openSealed } from "./store/seal.ts";
import type { Work } from "./work.ts";

/** Opens an image; undefined when there is none, or it is damaged: then it is made or fetched again. */
export async function openWhole(
  { places, signal }: Work,
  digest: string | undefined,
): Promise<Image | undefined> {
  if (digest === undefined) return undefined;
  return await openSealed(places.store, digest, signal).catch((error: unknown) => {
    if (Fault.from(error).code === "image-damaged") return undefined;
    throw error;
  });
}

/** Under the name's lock: makes room for an image that may come out the same. One that somebody uses stays where it is. */
export async function clearDamaged(
  { places, signal }: Work,
  digest: string,
  tell: (line: string) => void,
): Promise<void> {
  const folder = imageFolder(places.store, digest);
  if (!existsSync(folder))
    return tell(`${digest.slice(0, 12)} is gone from the store; it is made anew`);
  const aside = await setAside(places, digest, signal);
  tell(
    "path" in aside
      ? `${digest.slice(0, 12)} is damaged and set aside in ${aside.path}; it is made anew`
      : `${digest.slice(0, 12)} is damaged and stays, since ${aside.why}; it is made anew`,
  );
}
