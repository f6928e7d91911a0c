import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Setting } from "./measurement.ts";
import { timed } from "./pairs.ts";

/** A new empty folder of this host for what a side brings home. */
async function landing({ server }: Setting): Promise<string> {
  return mkdtemp(join(server.scratch, "landing-"));
}

/** Times a transfer into a folder of its own, which is removed outside the time. */
export function intoFolder(
  setting: Setting,
  transfer: (folder: string) => Promise<unknown>,
): () => Promise<number> {
  return async () => {
    const folder = await landing(setting);
    try {
      return await timed(() => transfer(folder));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}
