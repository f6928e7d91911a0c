import type { FileKind } from "./file-kind.ts";
import type { Place } from "./file-problem.ts";
import { readRegularFile, type UnreadableError } from "./read-regular-file.ts";

const START: Place = { line: 1, column: 1 };

/** Reads a file that somebody wrote as text. Refuses whatever is not a regular file of bounded size in plain UTF-8. */
export async function readFileText(kind: FileKind, path: string): Promise<string> {
  const read = await readRegularFile(path, kind.bytesMax).catch((error: UnreadableError) => {
    const { message: says, cause = error } = error;
    throw kind.refusal(path, [{ place: START, path: "", says }], { cause });
  });
  const { bytes, stat, isTooLong } = read;
  if (isTooLong) throw tooLong(kind, path, Math.max(stat.size, bytes.length));
  return decodeFileText(kind, path, bytes);
}

/** The text in the bytes of such a file. Refuses binary content. */
export function decodeFileText(kind: FileKind, path: string, bytes: Uint8Array): string {
  if (bytes.length > kind.bytesMax) throw tooLong(kind, path, bytes.length);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const says = `is not text in UTF-8: is it really a ${kind.name}?`;
    throw kind.refusal(path, [{ place: START, path: "", says }], { cause });
  }
  // What YAML 1.2.2 (5.1) leaves out of its printable characters; without these a file is binary, or wants to look different.
  const at = text.search(/[^\P{Cc}\t\n\r\u0085]/u);
  if (at === -1) return text;
  const lines = text.slice(0, at).split("\n");
  const place = { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
  const code = text.charCodeAt(at).toString(16).padStart(4, "0");
  const says = `holds the control character U+${code}; write it as "\\u${code}" in quotes, if it is meant`;
  throw kind.refusal(path, [{ place, path: "", says }]);
}

function tooLong({ name, bytesMax, refusal }: FileKind, path: string, bytes: number): Error {
  const most = bytesMax % 2 ** 20 === 0 ? `${bytesMax / 2 ** 20} MiB` : `${bytesMax / 1024} KiB`;
  const says = `is ${bytes} bytes long; a ${name} has at most ${bytesMax} (${most})`;
  return refusal(path, [{ place: START, path: "", says }]);
}
