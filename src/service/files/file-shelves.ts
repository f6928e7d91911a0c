import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Shelf, Shelves, Stock } from "#service/file-ports.ts";
import { filesError, ifThere } from "./disk.ts";
import type { Footprint } from "./footprint.ts";
import { jobFolder, shelfOfJob, shelfPath } from "./paths.ts";

const PREFIX = /^[0-9a-f]{2}$/;
const JOB = /^[0-9a-f]{16}$/;
const ATTEMPT = /^[0-9]{1,2}$/;
const CONTENT = /^([0-9a-f]{64})(\.part)?$/;

type Found = { readonly parts: readonly string[]; readonly bytes: number; readonly ageMs: number };

/** All files below a folder, shelf by shelf. What does not look like ours is counted and left alone. */
export class FileShelves implements Shelves {
  readonly #root: string;
  readonly #footprint: Footprint;

  /** Over the folder and the footprint of the logs and contents. */
  constructor(root: string, footprint: Footprint) {
    this.#root = root;
    this.#footprint = footprint;
  }

  get bytes(): number {
    return this.#footprint.bytes;
  }

  async list(): Promise<readonly Shelf[]> {
    const below = async (...path: readonly string[]) =>
      (await ifThere(readdir(join(this.#root, ...path)))) ?? [];
    const shelves: Shelf[] = [];
    for (const kind of ["logs", "artifacts"] as const)
      for (const prefix of await below(kind)) shelves.push({ kind, prefix });
    for (const owner of await below("inputs"))
      for (const prefix of await below("inputs", owner))
        shelves.push({ kind: "inputs", owner, prefix });
    return shelves.filter(({ prefix }) => PREFIX.test(prefix));
  }

  async look(shelf: Shelf, unwrittenSeconds: number): Promise<Stock> {
    const path = shelfPath(this.#root, shelf);
    const found: Found[] = [];
    for await (const file of filesBelow(path, [])) found.push(file);
    this.#footprint.set(
      path,
      found.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    const old = found.filter(({ ageMs }) => ageMs > unwrittenSeconds * 1000);
    if (shelf.kind === "inputs") return { jobs: [], parts: [], inputs: old.flatMap(inputOf) };
    const names = (await ifThere(readdir(path))) ?? [];
    return {
      jobs: names.filter((name) => JOB.test(name)),
      inputs: [],
      parts: shelf.kind === "artifacts" ? old.flatMap(partOf) : [],
    };
  }

  async removeJob(jobId: string): Promise<number> {
    let removed = 0;
    for (const kind of ["logs", "artifacts"] as const) {
      const folder = jobFolder(this.#root, kind, jobId);
      let bytes = 0;
      for await (const file of filesBelow(folder, [])) bytes += file.bytes;
      await rm(folder, { recursive: true, force: true }).catch((error: unknown) => {
        throw filesError(error);
      });
      this.#footprint.add(shelfOfJob(this.#root, kind, jobId), -bytes);
      removed += bytes;
    }
    return removed;
  }
}

/** The files below a folder, one look at a time: others use the disk, too. What goes meanwhile is passed over. */
async function* filesBelow(folder: string, above: readonly string[]): AsyncGenerator<Found> {
  for (const entry of (await ifThere(readdir(folder, { withFileTypes: true }))) ?? []) {
    const parts = [...above, entry.name];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path, parts);
    else {
      const there = await ifThere(lstat(path));
      if (there !== undefined)
        yield { parts, bytes: there.size, ageMs: Date.now() - there.mtimeMs };
    }
  }
}

function inputOf({ parts: [name = "", ...more] }: Found): Stock["inputs"] {
  const match = more.length === 0 ? CONTENT.exec(name) : null;
  return match?.[1] === undefined ? [] : [{ sha256: match[1], isPart: match[2] !== undefined }];
}

function partOf({ parts: [jobId = "", attempt = "", name = ""] }: Found): Stock["parts"] {
  const match = CONTENT.exec(name);
  if (match?.[1] === undefined || match[2] === undefined) return [];
  if (!JOB.test(jobId) || !ATTEMPT.test(attempt)) return [];
  return [{ kind: "artifact", jobId, attempt: Number(attempt), sha256: match[1] }];
}
