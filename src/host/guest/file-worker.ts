import { parentPort } from "node:worker_threads";
import { ArchiveError, ArchiveReader } from "#lib/tar/read-archive.ts";
import { readFolder, UnreadableFile } from "#lib/tar/read-folder.ts";
import type { FileError, FileReply, FileRequest, Piece, Stored } from "./file-requests.ts";
import { Harvest, OfferTooLarge } from "./harvest.ts";
import { Refusals } from "./refusals.ts";

/** The inside of `file-thread.ts`. One request after the other, each done with plain calls that hold up nobody here. */

type Collecting = {
  readonly memory: Uint8Array;
  readonly harvest: Harvest;
  readonly refusals: Refusals;
  /** Of the offer that goes on; undefined after an error, when what still comes of it is thrown away. */
  reader: ArchiveReader | undefined;
};

const collections = new Map<number, Collecting>();
const reads = new Map<number, Generator<Uint8Array<ArrayBuffer>>>();

function answer(request: FileRequest): Omit<FileReply, "id"> {
  const { stream } = request;
  switch (request.kind) {
    case "read":
      reads.set(stream, readFolder(request.folder));
      return {};
    case "next": {
      const content = reads.get(stream)?.next().value;
      return content === undefined ? {} : { content };
    }
    case "abandon":
      reads.get(stream)?.return(undefined);
      reads.delete(stream);
      return {};
    case "harvest": {
      const { folder, caps, memory } = request;
      const refusals = new Refusals(caps.refusals);
      const harvest = new Harvest(folder, caps, refusals);
      collections.set(stream, {
        memory: new Uint8Array(memory),
        harvest,
        refusals,
        reader: undefined,
      });
      return {};
    }
    case "settle":
      return settle(stream);
    default:
      return collect(request);
  }
}

function collect(request: Piece | Extract<FileRequest, { kind: "offer" | "offer-end" }>) {
  const collecting = collections.get(request.stream);
  if (collecting === undefined) throw new Error(`no harvest ${request.stream}`);
  const { harvest, memory } = collecting;
  if (request.kind === "offer") {
    harvest.offer();
    collecting.reader = new ArchiveReader(harvest);
    return {};
  }
  const { reader } = collecting;
  try {
    if (request.kind === "piece") {
      reader?.write(memory.subarray(request.start, request.start + request.bytes));
      return {};
    }
    if (request.isWhole && reader?.isInFile === true) {
      // A tar whose file shrank has said so and ended: the rest is to be asked for again, without this one.
      harvest.refuseUnfinished();
      return { refused: collecting.refusals.drain(), isCutShort: true };
    }
    if (request.isWhole) reader?.end();
  } catch (error) {
    collecting.reader = undefined;
    harvest.breakOff();
    throw error;
  }
  harvest.breakOff();
  return { refused: collecting.refusals.drain() };
}

function settle(stream: number): { stored?: Stored } {
  const harvest = collections.get(stream)?.harvest;
  collections.delete(stream);
  if (harvest === undefined) return {};
  harvest.breakOff();
  const { artifacts } = harvest;
  return {
    stored: {
      paths: artifacts.map(({ path }) => path).join("\n"),
      bytes: Float64Array.from(artifacts, ({ bytes }) => bytes),
      sha256: artifacts.map(({ sha256 }) => sha256).join(""),
    },
  };
}

function explain(error: unknown): FileError {
  const { code, message } = error as NodeJS.ErrnoException;
  const blame = error instanceof ArchiveError || error instanceof OfferTooLarge ? "guest" : "host";
  const path = error instanceof UnreadableFile ? { path: error.path } : {};
  return { blame, code, message, ...path };
}

function replyTo(id: number, request: FileRequest): FileReply {
  try {
    return { id, ...answer(request) };
  } catch (error) {
    return { id, error: explain(error) };
  }
}

parentPort?.on("message", ({ id, request }: { id: number; request: FileRequest }) => {
  const reply = replyTo(id, request);
  parentPort?.postMessage(reply, reply.content === undefined ? [] : [reply.content.buffer]);
});
