import { mkdir, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { call } from "./call.ts";
import { scratchFolder } from "./scratch.ts";

const MIB = 2 ** 20;

/** How often a copy may be made in vain because the disk was written to meanwhile. */
const TRIES = 100;

/**
 * A file system whose power can be cut: what the kernel had not written to its device yet is lost then, as it is when a host loses
 * power, and what was synced is not. ext4 on a loop device; needs root.
 */
export class CutDisk implements AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;
  readonly #scratch: { readonly path: string } & AsyncDisposable;

  private constructor(path: string, scratch: { readonly path: string } & AsyncDisposable) {
    this.path = path;
    this.#scratch = scratch;
  }

  /** Makes it and mounts it on a folder, which is made. */
  static async open(path: string, mib: number): Promise<CutDisk> {
    const disk = new CutDisk(path, await scratchFolder());
    await writeFile(disk.#image, "");
    await truncate(disk.#image, mib * MIB);
    await call("mkfs.ext4", ["-q", disk.#image]);
    await mkdir(path, { recursive: true });
    await disk.#mount();
    return disk;
  }

  /** Keeps what the device holds at this moment. */
  async freeze(): Promise<void> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      await call("cp", ["--sparse=always", this.#image, this.#kept]);
      // What is the same after the copy as while it was made is all of one moment.
      const isSame = await call("cmp", [this.#image, this.#kept]).catch(() => undefined);
      if (isSame !== undefined) return;
    }
    throw new Error("the disk was never left alone for as long as a copy takes");
  }

  /** Goes back to what was kept, and mounts that. Whoever used the disk must be gone. */
  async comeBack(): Promise<void> {
    await call("umount", [this.path]);
    await rename(this.#kept, this.#image);
    await this.#mount();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await call("umount", [this.path]);
    await rm(this.path, { recursive: true });
    await this.#scratch[Symbol.asyncDispose]();
  }

  get #image(): string {
    return join(this.#scratch.path, "image");
  }

  get #kept(): string {
    return join(this.#scratch.path, "kept");
  }

  async #mount(): Promise<void> {
    await call("mount", ["-o", "loop", this.#image, this.path]);
  }
}
