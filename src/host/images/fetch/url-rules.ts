import { type BlockList, isIP } from "node:net";
import { join } from "node:path";
import { printable } from "#lib/printable.ts";
import { addressList, isIn, type Resolve, resolveName } from "./addresses.ts";
import { refused } from "./fetch-faults.ts";

/** What may be fetched on behalf of one source, from where. */
export type FetchRules = {
  /** The catalogue's own address, that others are relative to; undefined for one that is a file. */
  readonly base: URL | undefined;
  /** Hosts that may be asked, each with its port where that is not 443. */
  readonly hosts: ReadonlySet<string>;
  readonly allowed: BlockList;
  /** Certificates to trust instead of the system's, PEM. */
  readonly ca: string | undefined;
  readonly resolve: Resolve;
};

const CHARACTERS_MAX = 2048;

/**
 * The rules of a source as its administrator wrote it: `catalogue` is its URL, `hosts` are others that may serve its files (`cdn.example`,
 * `cdn.example:8443`), `allowAddresses` are ranges that may be dialled though they are this host's own (`127.0.0.0/8`). Throws
 * `TypeError` for a host or a range that is none, image-refused for a catalogue whose address breaks the rules itself.
 */
export function fetchRules(source: {
  readonly catalogue?: string;
  readonly hosts?: readonly string[];
  readonly allowAddresses?: readonly string[];
  readonly ca?: string;
}): FetchRules {
  const rules = {
    base: undefined,
    hosts: new Set((source.hosts ?? []).map(hostOf)),
    allowed: addressList(source.allowAddresses ?? []),
    ca: source.ca,
    resolve: resolveName,
  };
  if (source.catalogue === undefined) return rules;
  const { host } = parsed(source.catalogue, undefined);
  const hosts = new Set([...rules.hosts, host]);
  return { ...rules, hosts, base: checkedUrl(source.catalogue, { ...rules, hosts }) };
}

/**
 * The URL that a text means, parsed once; what is fetched is this object and never the text again, so that no two readers can take it for
 * different hosts. `base` is what it is relative to: the catalogue, or the page that redirects. Throws image-refused.
 */
export function checkedUrl(text: string, rules: FetchRules, base = rules.base): URL {
  const url = parsed(text, base);
  const why = whyNotFetched(url, rules);
  if (why !== undefined) throw refused(`the address ${printable(text)} ${why}`);
  return url;
}

/** The file that a catalogue in a folder means by a relative address: one inside the folder. Throws image-refused. */
export function pathInFolder(folder: string, text: string): string {
  const parts = text.split("/");
  const isPlain = /^[\x21-\x7e]+$/.test(text) && text.length <= CHARACTERS_MAX;
  if (!isPlain || /[\\:?#%]/.test(text) || parts.some((part) => /^\.{0,2}$/.test(part)))
    throw refused(
      `the address ${printable(text)} is no plain path inside the catalogue's folder: letters, digits, dots and the like, without '..', '%', '?' or '#'`,
    );
  return join(folder, ...parts);
}

function parsed(text: string, base: URL | undefined): URL {
  // A URL's parser drops tabs and line ends, takes '\' for '/', and full-width letters and dots for plain ones. Who has a host with
  // other letters writes it as it is on the wire, `xn--...`.
  if (!/^[\x21-\x7e]+$/.test(text) || text.includes("\\"))
    throw refused(
      `the address ${printable(text)} holds characters that are not taken the same way everywhere: spaces, '\\', or others beyond ASCII`,
    );
  if (text.length > CHARACTERS_MAX)
    throw refused(`an address has ${text.length} characters, at most ${CHARACTERS_MAX} are taken`);
  const url = URL.parse(text, base?.href);
  if (url === null) throw refused(`the address ${printable(text)} is no URL`);
  return url;
}

function whyNotFetched(url: URL, { hosts, allowed }: FetchRules): string | undefined {
  if (url.protocol !== "https:") return "is not https";
  if (url.username !== "" || url.password !== "") return "holds a user's name or password";
  if (url.hostname.endsWith(".")) return "has a host that ends in a dot";
  const address = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (isIP(address) !== 0 && !isIn(allowed, address))
    return `means the bare address ${address}: use a name, or the catalogue's allowAddresses`;
  if (!hosts.has(url.host))
    return `is on ${url.host}, which is not among the catalogue's hosts (${[...hosts].sort().join(", ")})`;
  return undefined;
}

function hostOf(text: string): string {
  const url = /^[a-zA-Z0-9.:[\]-]+$/.test(text) ? URL.parse(`https://${text}`) : null;
  if (url === null || url.hostname.endsWith(".")) throw new TypeError(`'${text}' is no host`);
  return url.host;
}
