import { join } from "node:path";
import { readCatalogues, writeCatalogue } from "#host/images/catalogue/catalogue-state.ts";
import { DOCUMENT_BYTES_MAX } from "#host/images/catalogue/document.ts";
import { judge } from "#host/images/catalogue/trust.ts";
import { fetchDocument } from "#host/images/fetch/fetch-document.ts";
import { makeShared } from "#host/images/store/shared.ts";
import type { Work } from "#host/images/work.ts";
import { Fault } from "#job/fault.ts";
import { FileLock } from "#lib/file-lock.ts";
import { printable } from "#lib/printable.ts";
import { readRegularFile } from "#lib/read-regular-file.ts";
import type { FollowedSource } from "./source.ts";

const SIGNATURE_SUFFIX = ".minisig";
/** No catalogue is called so. */
const LOCK_NAME = "following.lock";
const SIGNATURE_BYTES_MAX = 16 * 1024;

/** What came of asking for a catalogue. Where it is refused or cannot be had, what was taken before stays. */
export type Followed = { readonly address: string } & (
  | {
      readonly outcome: "new" | "unchanged";
      readonly name: string;
      readonly version: number;
      readonly signedBy: string | undefined;
    }
  | { readonly outcome: "refused" | "unreachable"; readonly why: string }
);

/** Asks for each catalogue in turn, and says so. Throws like `followCatalogue`. */
export async function followAll({
  places: { store, sources = [] },
  onProgress,
  signal,
}: Work): Promise<readonly Followed[]> {
  const all: Followed[] = [];
  for (const source of sources) {
    onProgress(`asking ${source.address}`);
    all.push(await followCatalogue(store, source, signal));
  }
  return all;
}

/** Asks for a catalogue and takes it when it may be trusted. One asks at a time. Throws host-disk-full, or the signal's reason. */
async function followCatalogue(
  store: string,
  source: FollowedSource,
  signal: AbortSignal,
): Promise<Followed> {
  const { address } = source;
  const folder = await makeShared(store, "catalogues");
  using _ = await FileLock.take(join(folder, LOCK_NAME), signal);
  const asked = await ask(source, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    const fault = Fault.from(error);
    if (fault.code === "host-disk-full") throw fault;
    return fault;
  });
  if (asked instanceof Fault) {
    const outcome = asked.code === "image-refused" ? "refused" : "unreachable";
    return { address, outcome, why: asked.message };
  }
  const { states, closed } = await readCatalogues(store);
  const seen = states.map((state) => state.seen);
  const verdict = judge({ ...asked, source, seen, nowMs: Date.now() });
  if ("refused" in verdict)
    return { address, outcome: "refused", why: `the catalogue ${verdict.refused}` };
  const { document, isNew, signedBy } = verdict;
  if (closed.has(document.name))
    return { address, outcome: "refused", why: "what this host knows of it cannot be read now" };
  const before = states.find((state) => state.seen.name === document.name);
  // The same document may have been signed again, by a new key.
  if (isNew || before?.good === undefined || !isSame(before.good.signature, asked.signature))
    await writeCatalogue(store, verdict.seen, asked);
  const { name, version } = document;
  return { address, outcome: isNew ? "new" : "unchanged", name, version, signedBy };
}

type Asked = { readonly text: Uint8Array; readonly signature: Uint8Array | undefined };

async function ask(source: FollowedSource, signal: AbortSignal): Promise<Asked> {
  const { address, folder, rules } = source;
  if (folder !== undefined) {
    const text = await readFrom(address, DOCUMENT_BYTES_MAX);
    if (text === undefined)
      throw new Fault("image-fetch-failed", `${printable(address, 300)} is not there`);
    return { text, signature: await readFrom(address + SIGNATURE_SUFFIX, SIGNATURE_BYTES_MAX) };
  }
  const get = async (from: string, bytesMax: number) =>
    await fetchDocument(from, rules, { bytesMax }, signal);
  const text = await get(address, DOCUMENT_BYTES_MAX);
  const signature = await get(address + SIGNATURE_SUFFIX, SIGNATURE_BYTES_MAX).catch(
    (error: unknown) => {
      if (error instanceof Fault && error.evidence["status"] === 404) return undefined;
      throw error;
    },
  );
  return { text, signature };
}

function isSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return Buffer.from(one ?? []).equals(Buffer.from(other ?? []));
}

/** Undefined when it is not there. */
async function readFrom(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
  try {
    const { bytes, isTooLong } = await readRegularFile(path, bytesMax);
    if (!isTooLong) return bytes;
  } catch (error) {
    const { cause } = error as { cause?: NodeJS.ErrnoException };
    if (cause?.code === "ENOENT") return undefined;
    const message = (error as Error).message;
    const says = message.includes(path) ? message : `${path} ${message}`;
    throw new Fault("image-fetch-failed", printable(says, 400), { cause: error });
  }
  throw new Fault("image-refused", `${printable(path, 300)} is longer than ${bytesMax} bytes`);
}
