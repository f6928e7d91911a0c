import { constants, copyFile, link, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeFolders } from "#lib/make-folders.ts";
import { filesError, ifThere } from "./disk.ts";
import { artifactFolder, contentPath, logFolder } from "./paths.ts";

/** What a file system says when it cannot give a file a second name there; then its bytes are copied. */
const NO_LINK = ["EXDEV", "EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EACCES"];

/** What was copied so far. */
export type Progress = { files: number; bytes: number };

/**
 * Copies files of one folder of a service into another. Files that never change again are linked where that works, and cost no
 * room then; the others are copied. Nothing is flushed: who copies much flushes once, at the end.
 */
export class BackupFiles {
  readonly #from: string;
  readonly #to: string;
  readonly progress: Progress = { files: 0, bytes: 0 };

  constructor(from: string, to: string) {
    this.#from = from;
    this.#to = to;
  }

  /** Copies the logs and complete artifacts of an attempt; returns the length of each, as `output.log` or by digest. */
  async attempt({
    jobId,
    attempt,
    isLive,
  }: {
    jobId: string;
    attempt: number;
    isLive: boolean;
  }): Promise<ReadonlyMap<string, number>> {
    const copied = new Map<string, number>();
    for (const folderOf of [logFolder, artifactFolder]) {
      const from = folderOf(this.#from, jobId, attempt);
      const to = folderOf(this.#to, jobId, attempt);
      const names = (await ifThere(readdir(from))) ?? [];
      const whole = names.filter((name) => !name.endsWith(".part"));
      if (whole.length > 0) await makeFolders(to, 0o750);
      for (const name of whole) {
        const mayGrow = isLive && folderOf === logFolder;
        copied.set(name, await this.#copy(join(from, name), join(to, name), mayGrow));
      }
    }
    return copied;
  }

  /** Copies an input; returns its length, or undefined when it is not there. */
  async input(owner: string, sha256: string): Promise<number | undefined> {
    const key = { kind: "input", owner, sha256 } as const;
    const [from, to] = [contentPath(this.#from, key), contentPath(this.#to, key)];
    if ((await ifThere(stat(from))) === undefined) return undefined;
    await makeFolders(dirname(to), 0o750);
    return this.#copy(from, to, false);
  }

  async #copy(from: string, to: string, mayGrow: boolean): Promise<number> {
    try {
      if (mayGrow || !(await isLinked(from, to))) {
        await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      }
      const { size } = await stat(to);
      this.progress.files += 1;
      this.progress.bytes += size;
      return size;
    } catch (error) {
      throw filesError(error);
    }
  }
}

async function isLinked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (NO_LINK.includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
