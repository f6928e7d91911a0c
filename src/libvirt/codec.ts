import { XdrError, XdrReader, XdrWriter } from "./xdr.ts";

/** The description of one value on the wire, able to write it and to read it back. */
export type Codec<T> = {
  readonly write: (to: XdrWriter, value: T) => void;
  /** Throws XdrError on anything but a value of this description. */
  readonly read: (from: XdrReader) => T;
  /** The fewest bytes that a value takes: what lets an array refuse a count that its message cannot hold. */
  readonly bytesMin: number;
};

/** The JavaScript type that a codec describes. */
export type Value<C> = C extends Codec<infer T> ? T : never;

/** libvirt refuses larger messages, header included (its VIR_NET_MESSAGE_MAX). */
export const MESSAGE_BYTES_MAX = 32 * 1024 * 1024;

/** What the header takes of that. */
export const HEADER_BYTES = 24;

/** The protocol's limit on every string, in bytes. */
export const STRING_BYTES_MAX = 4 * 1024 * 1024;

export const i32: Codec<number> = {
  write: (to, value) => to.i32(value),
  read: (from) => from.i32(),
  bytesMin: 4,
};

export const u32: Codec<number> = {
  write: (to, value) => to.u32(value),
  read: (from) => from.u32(),
  bytesMin: 4,
};

export const i64: Codec<bigint> = {
  write: (to, value) => to.i64(value),
  read: (from) => from.i64(),
  bytesMin: 8,
};

export const u64: Codec<bigint> = {
  write: (to, value) => to.u64(value),
  read: (from) => from.u64(),
  bytesMin: 8,
};

export const f64: Codec<number> = {
  write: (to, value) => to.f64(value),
  read: (from) => from.f64(),
  bytesMin: 8,
};

/**
 * UTF-8 text. What cannot be read as UTF-8 comes out with replacement characters, since guests choose some of it (host
 * names in leases). A NUL is refused on the way out: C would end the text there, and a name would mean another one.
 */
export const string: Codec<string> = {
  write: (to, value) => {
    if (value.includes("\0") || !value.isWellFormed())
      throw new XdrError("text with a NUL or half a surrogate pair");
    const bytes = Buffer.from(value);
    if (bytes.length > STRING_BYTES_MAX)
      throw new XdrError(`text longer than ${STRING_BYTES_MAX} bytes`);
    to.u32(bytes.length);
    to.fixed(bytes);
  },
  read: (from) => {
    const length = from.u32();
    if (length > STRING_BYTES_MAX) throw new XdrError(`text of ${length} bytes`);
    return from.fixed(length).toString();
  },
  bytesMin: 4,
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const UUID_BYTES = 16;

/** A UUID in its text form, lower case when read. */
export const uuid: Codec<string> = {
  write: (to, value) => {
    if (!UUID.test(value)) throw new XdrError("text that is no UUID");
    to.fixed(Buffer.from(value.replaceAll("-", ""), "hex"));
  },
  read: (from) =>
    from
      .fixed(UUID_BYTES)
      .toString("hex")
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"),
  bytesMin: UUID_BYTES,
};

/** A value that may be missing. */
export function optional<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    write: (to, value) => {
      to.u32(value === undefined ? 0 : 1);
      if (value !== undefined) codec.write(to, value);
    },
    read: (from) => {
      const flag = from.u32();
      if (flag > 1) throw new XdrError(`${flag} says neither missing nor present`);
      return flag === 1 ? codec.read(from) : undefined;
    },
    bytesMin: 4,
  };
}

/** At most `countMax` values of one description, the limit that the protocol has for this list. */
export function array<T>(codec: Codec<T>, countMax: number): Codec<readonly T[]> {
  return {
    write: (to, values) => {
      if (values.length > countMax) throw new XdrError(`more than ${countMax} elements`);
      to.u32(values.length);
      for (const value of values) codec.write(to, value);
    },
    read: (from) => {
      const count = from.u32();
      if (count > countMax || count * codec.bytesMin > from.remaining)
        throw new XdrError(`a list of ${count} elements`);
      return Array.from({ length: count }, () => codec.read(from));
    },
    bytesMin: 4,
  };
}

/** Several values in the order in which they are written here. */
export function struct<T extends object>(
  fields: {
    readonly [K in keyof T]: Codec<T[K]>;
  },
): Codec<Readonly<T>> {
  const entries = Object.entries(fields) as [string, Codec<unknown>][];
  return {
    write: (to, value) => {
      const values = value as Readonly<Record<string, unknown>>;
      for (const [name, codec] of entries) codec.write(to, values[name]);
    },
    read: (from) =>
      Object.fromEntries(entries.map(([name, codec]) => [name, codec.read(from)])) as T,
    bytesMin: entries.reduce((sum, [, codec]) => sum + codec.bytesMin, 0),
  };
}

/** No bytes at all. */
export const nothing: Codec<void> = { write: () => undefined, read: () => undefined, bytesMin: 0 };

/** The bytes of a value. Throws XdrError for a value that its description does not allow. */
export function encode<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new XdrWriter(MESSAGE_BYTES_MAX - HEADER_BYTES);
  codec.write(writer, value);
  return writer.finish();
}

/** The value of exactly these bytes. Throws XdrError for too few, too many, or wrong ones. */
export function decode<T>(codec: Codec<T>, bytes: Buffer): T {
  const reader = new XdrReader(bytes);
  const value = codec.read(reader);
  reader.end();
  return value;
}
