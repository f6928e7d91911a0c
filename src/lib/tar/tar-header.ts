/**
 * The blocks of a tar archive that are not content, as GNU tar, busybox and libarchive write them:
 * https://www.gnu.org/software/tar/manual/html_node/Standard.html for ustar and GNU's dialect of it,
 * https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html for PAX.
 */
export type TarEntry = {
  /** As the header has it: data, until checked. U+FFFD stands where it is not UTF-8. */
  readonly name: string;
  readonly isFile: boolean;
  /** How many bytes of content follow. */
  readonly bytes: number;
  /** Of a kind that never has content, whatever somebody says of its size. */
  readonly isBare: boolean;
  /** Not an entry: its content says something of the next one. */
  readonly text: "name" | "link" | "records" | "nothing" | undefined;
};

/** A block that is no header. */
export class TarError extends Error {
  override readonly name = "TarError";
}

const FILE_FLAGS = ["0", "\0", "7"];
/** Links, devices, folders, FIFOs: a size in their header says nothing of what follows. */
const BARE_FLAGS = ["1", "2", "3", "4", "5", "6"];
/** A global PAX header sets names and sizes for all that follows, which only a forger means. */
const TEXT_FLAGS: Readonly<Record<string, TarEntry["text"]>> = {
  L: "name",
  K: "link",
  x: "records",
  g: "nothing",
};
const SUM_AT = 148;
const SUM_BYTES = 8;

/** Reads a header of 512 bytes; undefined for an empty block. Throws `TarError`. */
export function tarEntry(block: Buffer): TarEntry | undefined {
  let sum = 0;
  for (const byte of block) sum += byte;
  if (sum === 0) return undefined;
  // The checksum is made with its own field as spaces.
  for (let at = SUM_AT; at < SUM_AT + SUM_BYTES; at += 1) sum += 0x20 - block.readUInt8(at);
  if (sum !== tarNumber(block, SUM_AT, SUM_BYTES))
    throw new TarError("a header's checksum is wrong");
  const magic = block.toString("latin1", 257, 265);
  if (!magic.startsWith("ustar")) throw new TarError("a header is of no known kind");
  const flag = String.fromCharCode(block.readUInt8(156));
  const prefix = magic.startsWith("ustar\0") ? tarText(block.subarray(345, 500)) : "";
  const own = tarText(block.subarray(0, 100));
  const name = prefix === "" ? own : `${prefix}/${own}`;
  return {
    name,
    // Before ustar a folder was a file with a slash at its end.
    isFile: FILE_FLAGS.includes(flag) && !name.endsWith("/"),
    bytes: BARE_FLAGS.includes(flag) ? 0 : tarNumber(block, 124, 12),
    isBare: BARE_FLAGS.includes(flag),
    text: TEXT_FLAGS[flag],
  };
}

/** A text up to its first NUL. */
export function tarText(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end < 0 ? field.length : end);
}

/** PAX records by their keys, each `LENGTH KEY=VALUE\n`. Throws `TarError`. */
export function tarRecords(text: Buffer): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < text.length; ) {
    const space = text.indexOf(0x20, at);
    const bytes = space < 0 ? Number.NaN : Number(text.toString("latin1", at, space));
    const end = at + bytes;
    const equals = text.indexOf(0x3d, space);
    if (!(equals > 0 && equals < end && end <= text.length) || text[end - 1] !== 0x0a) {
      throw new TarError("a PAX record is broken");
    }
    records.set(
      text.toString("utf8", space + 1, equals),
      text.toString("utf8", equals + 1, end - 1),
    );
    at = end;
  }
  return records;
}

/** A number in octal digits, or in the base-256 form of GNU tar. Throws `TarError`. */
function tarNumber(block: Buffer, at: number, bytes: number): number {
  if (block.readUInt8(at) === 0x80) {
    const value = block.readBigUInt64BE(at + bytes - 8);
    const isSmall = block.subarray(at + 1, at + bytes - 8).every((byte) => byte === 0);
    if (isSmall && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
    throw new TarError("a header has a size that no file has");
  }
  const digits = /^[ \0]*([0-7]*)(?:[ \0]|$)/.exec(block.toString("latin1", at, at + bytes))?.[1];
  if (digits === undefined) throw new TarError("a header has no number where one must be");
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}
