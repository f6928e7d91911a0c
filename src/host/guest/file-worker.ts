import { createHash, type Hash, hash } from "node:crypto";
import { closeSync, constants, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { parentPort } from "node:worker_threads";
import type { Digests, FileReply, FileRequest } from "./file-thread.ts";
import { readFolder, UnreadableFile } from "./read-folder.ts";

/**
 * The inside of `file-thread.ts`. Plain calls write thousands of small files in a third of the time that asynchronous ones
 * take, and hold up nobody here. One request after the other.
 */

/** A name that is new or nothing: never a file that is there, never through a link. */
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const TAKEN_CODES = ["EEXIST", "ENOTDIR", "EISDIR", "ELOOP"];

const streams = new Map<number, { path: string; file: number; hash: Hash }>();
const reads = new Map<number, Generator<Uint8Array<ArrayBuffer>>>();
let lastParent: string | undefined;

/** Opens a new file; undefined when the name, or one of its folders', is taken. */
function create(path: string): number | undefined {
  try {
    const parent = dirname(path);
    if (parent !== lastParent) mkdirSync(parent, { recursive: true, mode: 0o755 });
    lastParent = parent;
    return openSync(path, FLAGS, 0o644);
  } catch (error) {
    lastParent = undefined;
    if (TAKEN_CODES.includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

function writeAll(file: number, content: Uint8Array): void {
  for (let at = 0; at < content.length; ) at += writeSync(file, content, at);
}

function put(path: string, content: Uint8Array): string | undefined {
  const file = create(path);
  if (file === undefined) return undefined;
  try {
    writeAll(file, content);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  return hash("sha256", content);
}

function begin(stream: number, path: string): Digests {
  const file = create(path);
  if (file === undefined) return [undefined];
  streams.set(stream, { path, file, hash: createHash("sha256") });
  return [""];
}

function abandon(stream: number): Digests {
  reads.get(stream)?.return(undefined);
  reads.delete(stream);
  const at = streams.get(stream);
  streams.delete(stream);
  if (at === undefined) return [];
  closeSync(at.file);
  rmSync(at.path, { force: true });
  return [];
}

function answer(request: Exclude<FileRequest, { kind: "next" }>): Digests {
  if (request.kind === "put") {
    let start = 0;
    return request.paths.split("\n").map((path, index) => {
      const content = new Uint8Array(request.content, start, request.sizes[index]);
      start += content.length;
      return put(`${request.folder}/${path}`, content);
    });
  }
  if (request.kind === "read") {
    reads.set(request.stream, readFolder(request.folder));
    return [];
  }
  if (request.kind === "begin") return begin(request.stream, join(request.folder, request.path));
  const at = streams.get(request.stream);
  if (request.kind === "abandon" || at === undefined) return abandon(request.stream);
  if (request.kind === "piece") {
    const content = new Uint8Array(request.content);
    writeAll(at.file, content);
    at.hash.update(content);
    return [];
  }
  streams.delete(request.stream);
  closeSync(at.file);
  return [at.hash.digest("hex")];
}

function replyTo(id: number, request: FileRequest): FileReply {
  try {
    if (request.kind !== "next") return { id, digests: answer(request) };
    const content = reads.get(request.stream)?.next().value;
    return { id, digests: [], ...(content === undefined ? {} : { content }) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const path = error instanceof UnreadableFile ? { path: error.path } : {};
    return { id, digests: [], error: { code, message, ...path } };
  }
}

parentPort?.on("message", ({ id, request }: { id: number; request: FileRequest }) => {
  const reply = replyTo(id, request);
  parentPort?.postMessage(reply, reply.content === undefined ? [] : [reply.content.buffer]);
});
