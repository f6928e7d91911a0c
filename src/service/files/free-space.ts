import { statfs } from "node:fs/promises";
import type { Space } from "#service/file-ports.ts";
import { filesError } from "./disk.ts";

const LOOK_AGAIN_MS = 1000;

/** The room on the file system of a folder, looked at once a second at most. */
export class FreeSpace implements Space {
  readonly #folder: string;
  readonly #reserveBytes: number;
  #look: { readonly atMs: number; readonly hasRoom: Promise<boolean> } | undefined;

  /** `reserveBytes` stay for the logs and verdicts of jobs that run. */
  constructor(folder: string, reserveBytes: number) {
    this.#folder = folder;
    this.#reserveBytes = reserveBytes;
  }

  hasRoom(): Promise<boolean> {
    const nowMs = performance.now();
    if (this.#look === undefined || nowMs - this.#look.atMs > LOOK_AGAIN_MS)
      this.#look = { atMs: nowMs, hasRoom: this.#measure() };
    return this.#look.hasRoom;
  }

  async #measure(): Promise<boolean> {
    try {
      const { bavail, bsize } = await statfs(this.#folder);
      return bavail * bsize >= this.#reserveBytes;
    } catch (error) {
      throw filesError(error);
    }
  }
}
