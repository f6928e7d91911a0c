import { createHash } from "node:crypto";
import { realpath, stat } from "node:fs/promises";
import { Fault } from "#job/fault.ts";
import type { Input } from "#job/spec.ts";
import { printable } from "#lib/printable.ts";
import { UnreadableFile } from "#lib/tar/read-folder.ts";
import type { WireInput } from "#protocol/wire-job.ts";
import { fileBytes, folderBytes } from "./byte-source.ts";

/** An input that was read once: what the wire says of it, and how its bytes are read again. */
export type DigestedInput = {
  /** As the job file has it, resolved; for people. */
  readonly from: string;
  readonly wire: WireInput;
  open(from: number): AsyncGenerator<Uint8Array>;
};

/**
 * Reads all inputs and says what they are: of a file its content, of a folder the archive of all below it. Throws the
 * fault `input-unreadable`, or the signal's reason.
 */
export async function digestInputs(
  inputs: readonly Input[],
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<readonly DigestedInput[]> {
  const digested: DigestedInput[] = [];
  for (const input of inputs) {
    digested.push(
      await digest(input, onBytes, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        throw unreadable(input.from, error);
      }),
    );
  }
  return digested;
}

/** The fault of an input that cannot be read, or is not what it was when it was read before. */
export function unreadable(from: string, error: unknown): Fault {
  const where = error instanceof UnreadableFile && error.path !== "" ? error.path : from;
  const why = error instanceof Error ? error.message : String(error);
  return new Fault("input-unreadable", `input ${printable(where)}: ${printable(why)}`, {
    cause: error,
  });
}

async function digest(
  { from, to }: Input,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<DigestedInput> {
  const path = await realpath(from);
  const stats = await stat(path);
  const isFolder = stats.isDirectory();
  const open = (at: number) => (isFolder ? folderBytes(path, at) : fileBytes(path, at));
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of open(0)) {
    signal.throwIfAborted();
    hash.update(piece);
    bytes += piece.length;
    onBytes(piece.length);
  }
  const content = { sha256: hash.digest("hex"), bytes, to };
  const wire: WireInput = isFolder
    ? { ...content, kind: "folder" }
    : { ...content, kind: "file", mode: stats.mode & 0o777 };
  return { from, wire, open };
}
