import { execFile } from "node:child_process";
import { statfs } from "node:fs/promises";
import { promisify } from "node:util";
import { scratchFolder } from "./scratch.ts";

const call = promisify(execFile);

const MIB = 2 ** 20;

/** A file system that can be filled. */
export type SmallDisk = {
  readonly path: string;
  freeMiB(): Promise<number>;
  /** It becomes larger or smaller, until about so much of it is free. */
  leave(freeMiB: number): Promise<void>;
};

/**
 * A file system of so many MiB, really full when it is full, on a folder that is there or on one of its own; needs root. Unmounted when
 * it is disposed.
 */
export async function smallDisk(mib: number, at?: string): Promise<SmallDisk & AsyncDisposable> {
  await using scope = new AsyncDisposableStack();
  const path = at ?? scope.use(await scratchFolder()).path;
  await call("mount", ["-t", "tmpfs", "-o", `size=${mib}m,mode=755`, "testbed-test", path]);
  // A test that failed may still have somebody at work there.
  scope.defer(async () => void (await call("umount", ["--lazy", path])));
  const kept = scope.move();
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
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}
