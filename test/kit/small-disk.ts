import { execFile } from "node:child_process";
import { statfs } from "node:fs/promises";
import { promisify } from "node:util";
import { scratchFolder } from "./scratch.ts";

const call = promisify(execFile);

const MIB = 2 ** 20;

type SmallDisk = {
  readonly path: string;
  freeMiB(): Promise<number>;
  /** It becomes larger or smaller, until about so much of it is free. */
  leave(freeMiB: number): Promise<void>;
};

/** A file system of so many MiB, really full when it is full; needs root. Unmounted and removed when it is disposed. */
export async function smallDisk(mib: number): Promise<SmallDisk & AsyncDisposable> {
  const scratch = await scratchFolder();
  const { path } = scratch;
  await call("mount", ["-t", "tmpfs", "-o", `size=${mib}m,mode=755`, "testbed-test", path]);
  return {
    path,
    freeMiB: async () => {
      const { bavail, bsize } = await statfs(path);
      return (bavail * bsize) / MIB;
    },
    leave: async (freeMiB) => {
      const { blocks, bfree, bsize } = await statfs(path);
      const bytes = (blocks - bfree) * bsize + freeMiB * MIB;
      await call("mount", ["-o", `remount,size=${Math.ceil(bytes / 1024)}k`, path]);
    },
    async [Symbol.asyncDispose]() {
      await call("umount", [path]);
      await scratch[Symbol.asyncDispose]();
    },
  };
}
