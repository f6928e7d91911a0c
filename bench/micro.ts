import { join } from "node:path";
import { readConfig } from "#config/config.ts";
import { localImages } from "#host/images/local-images.ts";
import type { Image, Images } from "#host/runner/ports.ts";
import { openStateFolder, STATE_NAMES } from "#host/runner/state-folder.ts";
import type { PartOrder } from "./part.ts";

/** The image that machines are measured with, built first when it is not there, where `testbed run` will find it. */
export async function micro({
  say,
  signal,
}: PartOrder): Promise<{ image: Image; images: Images; installation: string }> {
  const config = readConfig();
  const { path, installation } = await openStateFolder(config.stateFolder);
  const images = localImages({
    store: join(path, STATE_NAMES.images),
    recipes: [new URL("../images", import.meta.url).pathname],
  });
  return { image: await images.resolve("micro", say, signal), images, installation };
}
