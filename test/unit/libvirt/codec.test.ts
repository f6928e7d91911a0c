import fc from "fast-check";
import { expect, test } from "vitest";
import {
  array,
  type Codec,
  decode,
  encode,
  f64,
  i32,
  i64,
  optional,
  STRING_BYTES_MAX,
  string,
  struct,
  u32,
  u64,
  uuid,
} from "#libvirt/codec.ts";
import { DOMAIN_EVENT, PROCEDURE } from "#libvirt/protocol.ts";
import { dhcpLease, domainStats, PARAMETER_TYPE, remoteError } from "#libvirt/protocol-values.ts";
import { XdrError } from "#libvirt/xdr.ts";

const INT32 = { min: -0x8000_0000, max: 0x7fff_ffff };
const UINT32 = { min: 0, max: 0xffff_ffff };

const anInt = fc.integer(INT32);
const aUint = fc.integer(UINT32);
const aText = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"));
const aUuid = fc.uuid();
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

function carries<T>(codec: Codec<T>, values: fc.Arbitrary<T>): () => void {
  const property = fc.property(values, (value) => {
    const bytes = encode(codec, value);
    expect(bytes.length % 4).toBe(0);
    expect(bytes.length).toBeGreaterThanOrEqual(codec.bytesMin);
    expect(decode(codec, bytes)).toEqual(value);
  });
  return () => fc.assert(property);
}

const anInt64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const aUint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const aDomain = fc.record({ name: aText, uuid: aUuid, id: anInt }, { noNullPrototype: true });

test.each([
  ["i32", carries(i32, anInt)],
  ["u32", carries(u32, aUint)],
  ["i64", carries(i64, anInt64)],
  ["u64", carries(u64, aUint64)],
  ["f64", carries(f64, fc.double())],
  ["string", carries(string, aText)],
  ["uuid", carries(uuid, aUuid)],
  ["optional", carries(optional(string), maybe(aText))],
  ["array", carries(array(string, 100), fc.array(aText, { maxLength: 100 }))],
  ["struct", carries(struct({ name: string, uuid, id: i32 }), aDomain)],
])("every %s comes back as it was written", (_, check) => {
  check();
});

const aParameter = fc.oneof(
  fc.record({ type: fc.constant("int" as const), value: anInt }),
  fc.record({ type: fc.constant("uint" as const), value: aUint }),
  fc.record({
    type: fc.constant("llong" as const),
    value: anInt64,
  }),
  fc.record({
    type: fc.constant("ullong" as const),
    value: aUint64,
  }),
  fc.record({ type: fc.constant("double" as const), value: fc.double() }),
  fc.record({ type: fc.constant("boolean" as const), value: fc.boolean() }),
  fc.record({ type: fc.constant("string" as const), value: aText }),
);

test("statistics come back as they were written, whatever types their parameters have", () => {
  const records = fc.record({
    domain: aDomain,
    parameters: fc.array(fc.record({ field: aText, value: aParameter })),
  });
  fc.assert(
    fc.property(records, (value) => {
      expect(decode(domainStats, encode(domainStats, value))).toEqual(value);
    }),
  );
});

test("errors and leases come back as they were written, with any of their fields missing", () => {
  const errors = fc.record({
    code: anInt,
    domain: anInt,
    message: maybe(aText),
    level: anInt,
    dom: maybe(aDomain),
    str1: maybe(aText),
    str2: maybe(aText),
    str3: maybe(aText),
    int1: anInt,
    int2: anInt,
    net: maybe(fc.record({ name: aText, uuid: aUuid })),
  });
  fc.assert(
    fc.property(errors, (value) => {
      expect(decode(remoteError, encode(remoteError, value))).toEqual(value);
    }),
  );
  const leases = fc.record({
    interface: aText,
    expires: anInt64,
    type: anInt,
    mac: maybe(aText),
    iaid: maybe(aText),
    address: aText,
    prefix: aUint,
    hostname: maybe(aText),
    clientId: maybe(aText),
  });
  fc.assert(
    fc.property(leases, (value) => {
      expect(decode(dhcpLease, encode(dhcpLease, value))).toEqual(value);
    }),
  );
});

/** Everything that a daemon can make us read. */
const READABLE: Readonly<Record<string, Codec<unknown>>> = Object.fromEntries([
  ...Object.entries(PROCEDURE).map(([name, { gives }]) => [`${name} gives`, gives]),
  ...Object.entries(PROCEDURE).map(([name, { takes }]) => [`${name} takes`, takes]),
  ...Object.entries(DOMAIN_EVENT).map(([name, { gives }]) => [`${name} event`, gives]),
  ["error", remoteError],
]);

/** Random bytes rarely look like anything; small words make counts, flags and lengths that almost fit. */
const garbage = fc.oneof(
  fc.uint8Array({ maxLength: 400 }),
  fc
    .array(fc.oneof(fc.nat(8), aUint), { maxLength: 100 })
    .map(
      (words) =>
        new Uint8Array(
          words.flatMap((w) => [w >>> 24, (w >>> 16) & 255, (w >>> 8) & 255, w & 255]),
        ),
    ),
);

test.each(Object.keys(READABLE))("%s: garbage is read, or refused with XdrError", (name) => {
  const codec = READABLE[name] ?? expect.fail(name);
  fc.assert(
    fc.property(garbage, (bytes) => {
      try {
        decode(codec, Buffer.from(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(XdrError);
      }
    }),
    { numRuns: 200 },
  );
});

test("what is cut anywhere is refused, and so is one byte more", () => {
  fc.assert(
    fc.property(fc.record({ domain: aDomain, parameters: fc.constant([]) }), (value) => {
      const bytes = encode(domainStats, value);
      for (let length = 0; length < bytes.length; length += 1)
        expect(() => decode(domainStats, bytes.subarray(0, length))).toThrow(XdrError);
      expect(() => decode(domainStats, Buffer.concat([bytes, Buffer.alloc(1)]))).toThrow(XdrError);
    }),
    { numRuns: 20 },
  );
});

test("nothing is read past the end of a message that is part of a larger buffer", () => {
  fc.assert(
    fc.property(aText, fc.uint8Array({ minLength: 1 }), (text, behind) => {
      const bytes = encode(string, text);
      const buffer = Buffer.concat([bytes, behind]);
      expect(decode(string, buffer.subarray(0, bytes.length))).toBe(text);
      buffer.writeUInt32BE(bytes.length, 0);
      expect(() => decode(string, buffer.subarray(0, bytes.length))).toThrow(XdrError);
    }),
  );
});

const word = (value: number) => Buffer.from(new Uint32Array([value]).buffer).swap32();

test.each([
  ["a list longer than its limit", array(u32, 3), Buffer.concat([4, 1, 2, 3, 4].map(word))],
  ["a count that the message cannot hold", array(u32, 0xffff_ffff), word(0xffff_ffff)],
  ["text longer than its limit", string, word(STRING_BYTES_MAX + 1)],
  ["a flag that is neither", optional(u32), Buffer.concat([2, 1].map(word))],
  ["padding that is not zero", string, Buffer.concat([word(1), Buffer.from("aXXX")])],
  ["an unknown type of parameter", domainStats, unknownParameter()],
] as const)("%s is refused", (_, codec, bytes) => {
  expect(() => decode(codec as Codec<unknown>, bytes)).toThrow(XdrError);
});

function unknownParameter(): Buffer {
  const domain = { name: "", uuid: "00000000-0000-0000-0000-000000000000", id: 1 };
  const parameters = [{ field: "", value: { type: "int" as const, value: 1 } }];
  const bytes = encode(domainStats, { domain, parameters });
  bytes.writeUInt32BE(9, bytes.length - 8);
  return bytes;
}

test("text that is not UTF-8 is read with replacement characters", () => {
  const bytes = Buffer.concat([word(2), Buffer.from([0xff, 0x41, 0, 0])]);
  expect(decode(string, bytes)).toBe("\ufffdA");
});

test.each([
  ["a fraction", () => encode(i32, 1.5)],
  ["an integer that is too large", () => encode(i32, 2 ** 31)],
  ["a negative unsigned integer", () => encode(u32, -1)],
  ["not a number", () => encode(u32, Number.NaN)],
  ["a long that is too large", () => encode(i64, 2n ** 63n)],
  ["a negative unsigned long", () => encode(u64, -1n)],
  ["text with a NUL", () => encode(string, "a\0b")],
  ["half a surrogate pair", () => encode(string, "\ud800")],
  ["text that is too long", () => encode(string, "a".repeat(STRING_BYTES_MAX + 1))],
  ["a UUID with a digit too few", () => encode(uuid, "0")],
  ["a list that is too long", () => encode(array(u32, 1), [1, 2])],
  ["a message over 32 MiB", () => encode(array(string, 10), Array(9).fill("a".repeat(4_000_000)))],
])("%s is not written", (_, write) => {
  expect(write).toThrow(XdrError);
});

test("each type of parameter has its own number", () => {
  expect(new Set(Object.values(PARAMETER_TYPE)).size).toBe(Object.keys(PARAMETER_TYPE).length);
});
