import { createHash, randomBytes } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Download, download, type Source } from "#host/images/fetch/download.ts";
import { FETCH_LIMITS, type FetchLimits } from "#host/images/fetch/fetch-limits.ts";
import { Fault } from "#job/fault.ts";
import { eventually } from "./eventually.ts";
import { type Answer, type FileServer, fileServer, tornAfter } from "./file-server.ts";
import { scratchFolder } from "./scratch.ts";

/** Limits for tests: no pauses to speak of, and patience with a busy host. */
export const QUICK: FetchLimits = {
  ...FETCH_LIMITS,
  answerMs: 10_000,
  windowMs: 10_000,
  windowBytes: 1,
  tries: 3,
  progressBytes: 50_000,
  pauses: { firstMs: 1, longestMs: 5 },
};

export const inTime = () => AbortSignal.timeout(50_000);

const ARRIVES_MS = 20_000;

/** What a fetch leaves in its folder besides locks. */
export async function leftIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder)).filter((name) => !name.endsWith(".lock")).sort();
}

/** SHA-256 in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A server with a file to fetch, and a folder to fetch it into. */
export type FetchDesk = {
  readonly server: FileServer;
  readonly folder: string;
  readonly content: Buffer;
  readonly source: Source & { readonly url: string };
  /** Where the file is while it comes, and when it is whole. */
  readonly part: string;
  readonly whole: string;
  /** Serves the file, or another, and breaks off after each so many bytes, which are in the part then. */
  torn(bytes: number, body?: Buffer, etag?: string): Answer;
  /** The headers `Range` of what was asked. */
  ranges(): (string | undefined)[];
  download(changes?: Partial<Download>, signal?: AbortSignal): Promise<string>;
  /** The fault that a download ends in. */
  faultOf(changes?: Partial<Download>, signal?: AbortSignal): Promise<Fault>;
};

export async function fetchDesk(bytes = 300_000): Promise<FetchDesk & AsyncDisposable> {
  await using scope = new AsyncDisposableStack();
  const server = scope.use(await fileServer());
  const scratch = scope.use(await scratchFolder());
  const folder = join(scratch.path, "fetching");
  const content = randomBytes(bytes);
  const source = { url: server.url("/disk"), bytes, sha256: sha256(content) };
  const order = {
    source,
    folder,
    rules: server.rules(),
    limits: QUICK,
    onProgress: () => undefined,
  };
  const fetchIt = (changes: Partial<Download> = {}, signal = inTime()) =>
    download({ ...order, ...changes }, signal);
  const part = join(folder, `${source.sha256}.part`);
  const arrived = (total: number) =>
    eventually(async () => (await stat(part)).size === total, ARRIVES_MS);
  const kept = scope.move();
  return {
    server,
    folder,
    content,
    source,
    part,
    whole: join(folder, source.sha256),
    torn: (bytes, body = content, etag) => tornAfter(bytes, body, arrived, etag),
    ranges: () => server.asked.map(({ headers }) => headers.range),
    download: fetchIt,
    faultOf: (changes, signal) =>
      fetchIt(changes, signal).then((path) => {
        throw new Error(`it was fetched: ${path}`);
      }, Fault.from),
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}
