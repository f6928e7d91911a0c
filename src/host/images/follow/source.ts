import { realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type PublicKey, readPublicKey } from "#host/images/catalogue/minisign.ts";
import type { CatalogueSource } from "#host/images/catalogue/trust.ts";
import { refused } from "#host/images/fetch/fetch-faults.ts";
import { type FetchRules, fetchRules, pathInFolder } from "#host/images/fetch/url-rules.ts";

/** A catalogue as an admin configured it. */
export type SourceSettings = {
  /** Exactly one of the two: the address of its catalogue.json, or the folder that has it. */
  readonly url: string | undefined;
  readonly path: string | undefined;
  /** Public keys of minisign, `RW…`. */
  readonly keys: readonly string[];
  readonly allowUnsigned: boolean;
  readonly hosts: readonly string[];
  readonly allowAddresses: readonly string[];
  /** Certificates, PEM; not their file. */
  readonly ca: string | undefined;
};

/** A catalogue that this host follows: whom to believe, and how to get at it. */
export type FollowedSource = CatalogueSource & {
  readonly rules: FetchRules;
  /** Undefined for one that is fetched. */
  readonly folder: string | undefined;
};

const DOCUMENT_NAME = "catalogue.json";

/** Throws what is wrong with a key, a host or a range: `CatalogueRefused`, `TypeError`, image-refused. */
export function openSource(settings: SourceSettings): FollowedSource {
  const { url, path, hosts, allowAddresses, ca } = settings;
  const keys: readonly PublicKey[] = settings.keys.map(readPublicKey);
  const { allowUnsigned } = settings;
  const others = { hosts, allowAddresses, ...(ca === undefined ? {} : { ca }) };
  if (url !== undefined) {
    const rules = fetchRules({ catalogue: url, ...others });
    return { address: url, keys, allowUnsigned, rules, folder: undefined };
  }
  if (path === undefined) throw new TypeError("a catalogue has a url or a path");
  const address = join(path, DOCUMENT_NAME);
  return { address, keys, allowUnsigned, rules: fetchRules(others), folder: path };
}

/**
 * Where a catalogue's file is. Throws image-refused for one outside the folder, also by a link on the way; addresses are checked when
 * they are asked, and what is at the path when it is read.
 */
export async function fileOf(
  { folder }: FollowedSource,
  url: string,
): Promise<{ url: string } | { path: string }> {
  if (folder === undefined || url.startsWith("https://")) return { url };
  const path = pathInFolder(folder, url);
  const [inside, root] = [await whole(dirname(path)), await whole(folder)];
  const isInside = inside === undefined || inside === root || inside.startsWith(`${root}/`);
  if (!isInside) throw refused(`${path} is outside the catalogue's folder, by a link on the way`);
  return { path };
}

/** A folder's path without links; undefined when it is not there. */
async function whole(path: string): Promise<string | undefined> {
  return await realpath(path).catch(() => undefined);
}
