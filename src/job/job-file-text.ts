import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { JobFileError, type Place } from "./job-file-problem.ts";

/** Far more than any job file needs; checked before anything is read. */
const JOB_FILE_BYTES_MAX = 1024 * 1024;

const START: Place = { line: 1, column: 1 };

/** Reads a job file as text. Throws `JobFileError` for whatever is not a regular file of at most 1 MiB of plain UTF-8. */
export async function readJobFileText(path: string): Promise<string> {
  return decodeJobFile(path, await readBounded(path));
}

/** The text in the bytes of a job file. Throws `JobFileError` for binary content. */
export function decodeJobFile(path: string, bytes: Uint8Array): string {
  if (bytes.length > JOB_FILE_BYTES_MAX) throw tooLarge(path, bytes.length);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw refuse(path, "is not text in UTF-8: is it really a job file?", START, cause);
  }
  // What YAML 1.2.2 (5.1) leaves out of its printable characters; without these a file is binary, or wants to look different.
  const at = text.search(/[^\P{Cc}\t\n\r\u0085]/u);
  if (at === -1) return text;
  const lines = text.slice(0, at).split("\n");
  const place = { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
  const code = text.charCodeAt(at).toString(16).padStart(4, "0");
  throw refuse(
    path,
    `holds the control character U+${code}; write it as "\\u${code}" in quotes, if it is meant`,
    place,
  );
}

async function readBounded(path: string): Promise<Buffer> {
  try {
    // Without O_NONBLOCK opening a FIFO waits for its writer (open(2)).
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) {
      throw refuse(path, stat.isDirectory() ? "is a folder, not a file" : "is not a regular file");
    }
    if (stat.size > JOB_FILE_BYTES_MAX) throw tooLarge(path, stat.size);
    const buffer = Buffer.alloc(JOB_FILE_BYTES_MAX + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) return buffer.subarray(0, length);
    }
  } catch (error) {
    if (error instanceof JobFileError) throw error;
    throw refuse(path, reasonOf(error as NodeJS.ErrnoException), START, error);
  }
}

function reasonOf(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return "there is no such file";
  if (error.code === "EACCES" || error.code === "EPERM") return "you may not read it";
  return `cannot be read: ${error.message}`;
}

function tooLarge(path: string, bytes: number): JobFileError {
  const says = `is ${bytes} bytes long; a job file has at most ${JOB_FILE_BYTES_MAX} (1 MiB)`;
  return refuse(path, says);
}

function refuse(file: string, says: string, place = START, cause?: unknown): JobFileError {
  return new JobFileError(file, [{ place, path: "", says }], { cause });
}
