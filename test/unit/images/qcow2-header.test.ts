import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inspectHeader } from "#host/images/inspect/qcow2-header.ts";
import {
  headerWith,
  PLAIN_FILE_BYTES,
  PLAIN_VIRTUAL_BYTES,
  plainHeader,
} from "#test/kit/plain-qcow2.ts";

const TIB = 2 ** 40;
const bounds = { fileBytes: PLAIN_FILE_BYTES, virtualBytesMax: TIB };
const inspect = (header: Buffer, fileBytes = PLAIN_FILE_BYTES) =>
  inspectHeader(header, { ...bounds, fileBytes });
const END = [0, ""] as const;
const NAMES = [0x6803f857, "x".repeat(48)] as const;
const LONG = 4 * 2 ** 21 + 8;

/** Each refusal beside a twin that is as near to it as an image that is taken can be; the file's length where it matters. */
const CASES: readonly [why: string, refused: Buffer, taken: Buffer, fileBytes?: number][] = [
  ["is no qcow2 file", headerWith(0, 0x514649fc), plainHeader()],
  ["is no qcow2 file", plainHeader().subarray(0, 111), plainHeader().subarray(0, 120)],
  ["version 1", plainHeader({ version: 1 }), plainHeader({ version: 2 })],
  ["version 4", plainHeader({ version: 4 }), plainHeader({ version: 3 })],
  ["has a backing file", headerWith(8, 512n), headerWith(8, 0n)],
  ["has a backing file", headerWith(16, 11), headerWith(16, 0)],
  ["has a backing file", headerWith(8, 512n, plainHeader({ version: 2 })), plainHeader()],
  ["is encrypted", headerWith(32, 1), headerWith(32, 0)],
  ["is encrypted", headerWith(32, 2), headerWith(32, 0)],
  ["internal snapshots", headerWith(60, 1), headerWith(60, 0)],
  ["internal snapshots", headerWith(60, 1_000_000), headerWith(60, 0)],
  ["internal snapshots", headerWith(64, 0x40000n), headerWith(64, 0n)],
  ["without an end", headerWith(116, 0x20000006), headerWith(116, 8)],
  ["external data file", headerWith(72, 4n), headerWith(80, 4n)],
  ["not closed cleanly", headerWith(72, 1n), headerWith(80, 1n)],
  ["not closed cleanly", headerWith(72, 2n), headerWith(80, 2n)],
  ["not known here", headerWith(72, 32n), headerWith(72, 16n)],
  ["not known here", headerWith(72, 1n << 63n), headerWith(80, 1n << 63n)],
  ["bitmaps or an external", headerWith(88, 1n), headerWith(88, 0n)],
  ["bitmaps or an external", headerWith(88, 2n), headerWith(88, 0n)],
  [
    "clusters of a size",
    plainHeader({ clusterBits: 8 }),
    plainHeader({ clusterBits: 9, l1Entries: 2048 }),
  ],
  ["clusters of a size", headerWith(20, 0xffffffff), plainHeader()],
  [
    "clusters of a size",
    plainHeader({ clusterBits: 22, l1At: 1n << 22n, refcountTableAt: 1n << 22n }),
    plainHeader({ clusterBits: 21, l1At: 1n << 22n, refcountTableAt: 1n << 21n }),
    LONG,
  ],
  ["length that there is not", headerWith(100, 96), plainHeader({ headerBytes: 104 })],
  ["length that there is not", headerWith(100, 108), plainHeader({ headerBytes: 112 })],
  ["length that there is not", headerWith(100, 0xfffffff8), plainHeader({ headerBytes: 2048 })],
  [
    "too small for extended",
    plainHeader({ clusterBits: 13, incompatible: 16n, l1Entries: 16 }),
    plainHeader({ clusterBits: 14, incompatible: 16n, l1Entries: 4 }),
  ],
  ["counts references", headerWith(96, 7), headerWith(96, 6)],
  ["compressed in a way", headerWith(104, 0x02000000), headerWith(104, 0)],
  [
    "compressed in a way",
    headerWith(104, 0x01000000),
    headerWith(104, 0x01000000, headerWith(72, 8n)),
  ],
  ["compressed in a way", headerWith(72, 8n), headerWith(72, 0n)],
  ["virtual size of 0 bytes", headerWith(24, 0n), headerWith(24, 512n)],
  ["virtual size of 513", headerWith(24, 513n), headerWith(24, 1024n)],
  ["virtual size of 45", headerWith(24, 2n ** 52n), headerWith(24, 2n ** 29n)],
  [
    "virtual size of 1099511628288",
    plainHeader({ virtualBytes: BigInt(TIB) + 512n, l1Entries: 2049 }),
    plainHeader({ virtualBytes: BigInt(TIB), l1Entries: 2048 }),
    2 ** 20,
  ],
  ["L1 table that does not lie", headerWith(40, 0x30008n), headerWith(40, 0x20000n)],
  ["L1 table that does not lie", headerWith(40, 0n), headerWith(40, 0x20000n)],
  ["L1 table that does not lie", headerWith(40, 0x40000n), headerWith(40, 0x30000n)],
  ["L1 table that does not lie", headerWith(40, 2n ** 64n - 2n ** 16n), headerWith(40, 0x30000n)],
  ["L1 table that does not lie", headerWith(36, 2), headerWith(36, 2, headerWith(40, 0x20000n))],
  ["does not fit its virtual size", headerWith(24, 2n ** 29n + 512n), headerWith(24, 2n ** 29n)],
  ["does not fit its virtual size", headerWith(36, 0), headerWith(36, 1)],
  ["does not fit its virtual size", headerWith(36, 2 ** 22 + 1), headerWith(36, 2 ** 22), 2 ** 26],
  ["reference counts", headerWith(48, 0x10200n), headerWith(48, 0x20000n)],
  ["reference counts", headerWith(48, 0x30000n), headerWith(48, 0x10000n)],
  ["reference counts", headerWith(48, 0n), headerWith(48, 0x10000n)],
  ["reference counts", headerWith(56, 0), headerWith(56, 2)],
  ["reference counts", headerWith(56, 129), headerWith(56, 128), 2 ** 26],
  ["reference counts", headerWith(56, 0xffffffff), headerWith(56, 1), 2 ** 40],
  [
    "external data file",
    plainHeader({ extensions: [[0x44415441, "/etc/passwd"], END] }),
    plainHeader(),
  ],
  [
    "backing format",
    plainHeader({ extensions: [NAMES, [0xe2792aca, "raw"], END] }),
    plainHeader({ extensions: [NAMES, END] }),
  ],
  ["bitmaps", plainHeader({ extensions: [[0x23852875, "x".repeat(24)], END] }), plainHeader()],
  ["encryption", plainHeader({ extensions: [[0x0537be77, "x".repeat(16)], END] }), plainHeader()],
  [
    "extension that is not known",
    plainHeader({ extensions: [[0xfeedface, ""], END] }),
    plainHeader(),
  ],
  [
    "without an end",
    plainHeader({ extensions: Array(600).fill([0x6803f857, ""]) }),
    plainHeader({ extensions: [...Array(400).fill([0x6803f857, ""]), END] }),
  ],
  [
    "without an end",
    headerWith(116, 0xffffffff, plainHeader({ extensions: [NAMES, END] })),
    plainHeader({ extensions: [NAMES, END] }),
  ],
  [
    "without an end",
    plainHeader({
      clusterBits: 9,
      l1Entries: 2048,
      extensions: [[0x6803f857, "x".repeat(392)], END],
    }),
    plainHeader({
      clusterBits: 9,
      l1Entries: 2048,
      extensions: [[0x6803f857, "x".repeat(384)], END],
    }),
    2 ** 20,
  ],
];

describe("inspecting a qcow2 header", () => {
  test.each([2, 3])(
    "takes a self-contained image of version %i and tells its virtual size",
    (version) => {
      expect(inspect(plainHeader({ version }))).toEqual({ virtualBytes: PLAIN_VIRTUAL_BYTES });
    },
  );

  test.each(CASES)("refuses one that %s, and takes its twin", (why, refused, taken, fileBytes) => {
    // A table of 2048 entries, where clusters are small, needs some room.
    const bytes = fileBytes ?? PLAIN_FILE_BYTES;
    expect(inspect(refused, bytes)).toEqual({ refused: expect.stringContaining(why) });
    expect(inspect(taken, Math.max(bytes, taken.readUInt32BE(20) < 16 ? 2 ** 20 : 0))).toEqual({
      virtualBytes: Number(taken.readBigUInt64BE(24)),
    });
  });

  test("a cap of the caller's is kept to the byte", () => {
    const capped = (virtualBytesMax: number) =>
      inspectHeader(plainHeader(), { ...bounds, virtualBytesMax });
    expect(capped(PLAIN_VIRTUAL_BYTES)).toEqual({ virtualBytes: PLAIN_VIRTUAL_BYTES });
    expect(capped(PLAIN_VIRTUAL_BYTES - 512)).toEqual({
      refused: `has a virtual size of ${PLAIN_VIRTUAL_BYTES} bytes`,
    });
  });

  test("whatever the bytes are, it ends soon with an answer within its bounds", () => {
    const anything = fc.uint8Array({ minLength: 0, maxLength: 512 });
    const place = fc.integer({ min: 0, max: 4088 });
    const change = fc.tuple(
      place,
      fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 64n })),
    );
    const mutated = fc
      .tuple(fc.constantFrom(2, 3), fc.array(change, { maxLength: 6 }), anything)
      .map(([version, changes, tail]) => {
        const header = plainHeader({ version });
        for (const [at, value] of changes) header.writeBigUInt64BE(value, at > 512 ? at % 128 : at);
        header.set(tail, 120);
        return header;
      });
    const size = fc.integer({ min: 0, max: 2 ** 41 });
    fc.assert(
      fc.property(
        fc.oneof(
          mutated,
          anything.map((bytes) => Buffer.from(bytes)),
        ),
        size,
        (header, fileBytes) => {
          const answer = inspectHeader(header, { fileBytes, virtualBytesMax: TIB });
          if ("refused" in answer) {
            expect(answer.refused.length).toBeLessThan(100);
            return;
          }
          expect(answer.virtualBytes % 512).toBe(0);
          expect(answer.virtualBytes).toBeGreaterThan(0);
          expect(answer.virtualBytes).toBeLessThanOrEqual(TIB);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
