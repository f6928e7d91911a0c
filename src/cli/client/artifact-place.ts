import { constants, type Stats } from "node:fs";
import { copyFile, link, lstat, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "#cli/exit-code.ts";
import { artifactSchema } from "#job/verdict-schema.ts";
import { printable } from "#lib/printable.ts";
import { compileSchema } from "#lib/validate.ts";
import type { WireArtifact } from "#protocol/verdict.ts";
import { digestOfFile } from "./digest-file.ts";

const checkPath = compileSchema(artifactSchema.properties.path);

/** What is at an artifact's place before it is fetched. */
export type Found = "nothing" | "the same" | "another";

/**
 * Where an artifact goes below `folder`. Its path was chosen in a guest: one that leads anywhere else is refused, whatever
 * the service let through. Throws `UsageError`.
 */
export function placeOf(folder: string, { path }: WireArtifact): string {
  const [wrong] = checkPath(path);
  if (wrong === undefined) return join(folder, path);
  throw new UsageError(`artifact ${printable(path)}: ${wrong.says.join("; ")}`);
}

/**
 * What lies at an artifact's place. Links are not followed: one there is another thing than the artifact, and one on the
 * way is refused, since names from a guest must not lead through it. Throws `UsageError`.
 */
export async function lookAt(folder: string, artifact: WireArtifact): Promise<Found> {
  for (const parent of parentsOf(folder, artifact)) {
    const stats = await statsOf(parent);
    if (stats === undefined) return "nothing";
    if (!stats.isDirectory()) throw noFolder(parent);
  }
  const place = placeOf(folder, artifact);
  const stats = await statsOf(place);
  if (stats === undefined) return "nothing";
  const { bytes, sha256 } = artifact;
  const isSame = stats.isFile() && stats.size === bytes && (await digestOfFile(place)) === sha256;
  return isSame ? "the same" : "another";
}

/** Makes the folders between `folder` and an artifact's place in it. Throws `UsageError` for a link on the way. */
export async function makeParents(folder: string, artifact: WireArtifact): Promise<void> {
  for (const parent of parentsOf(folder, artifact)) {
    await mkdir(parent).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
      if (!(await lstat(parent)).isDirectory()) throw noFolder(parent);
    });
  }
}

/** From the outermost to the innermost, `folder` itself not counted. */
function parentsOf(folder: string, { path }: WireArtifact): readonly string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, at) => join(folder, ...parts.slice(0, at + 1)));
}

async function statsOf(path: string): Promise<Stats | undefined> {
  return await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

function noFolder(path: string): UsageError {
  return new UsageError(`${printable(path, 1000)} is in the way: it is no folder`);
}

/** Gives a finished file its name; what has that name already stays, unless `force`. Throws `UsageError`. */
export async function putInPlace(part: string, place: string, force: boolean): Promise<void> {
  if (force) return await rename(part, place);
  try {
    // A rename would overwrite.
    await link(part, place);
    await rm(part);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") throw inTheWay(place);
    // Some file systems have no links (vfat, some network ones).
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(code)) throw error;
    await copyTo(part, place, force);
    await rm(part);
  }
}

/** The same content at another place. Throws `UsageError` when something is there, unless `force`. */
export async function copyTo(from: string, place: string, force: boolean): Promise<void> {
  const exclusive = force ? 0 : constants.COPYFILE_EXCL;
  if (force) await rm(place, { force: true });
  await copyFile(from, place, constants.COPYFILE_FICLONE | exclusive).catch(
    (error: NodeJS.ErrnoException) => {
      throw error.code === "EEXIST" ? inTheWay(place) : error;
    },
  );
}

function inTheWay(place: string): UsageError {
  const shown = printable(place, 1000);
  return new UsageError(
    `${shown} is there already; if nobody else made it, two artifacts have names that are the same here`,
  );
}
