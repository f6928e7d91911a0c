import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inspectHeader } from "#host/images/inspect/qcow2-header.ts";
import { encodeOverlay } from "#host/images/store/qcow2-overlay.ts";

const MIB = 1024 * 1024;

/** A self-contained image's first bytes: an overlay's, without what makes it one. */
function plainHeader(): Buffer {
  const { parts } = encodeOverlay({
    backing: { path: "/base", format: "qcow2" },
    virtualBytes: 512 * MIB,
  });
  const header = Buffer.alloc(4096);
  parts[0]?.bytes.copy(header);
  header.fill(0, 8, 20); // Backing file: none.
  header.fill(0, 112); // Header extensions: only the end.
  return header;
}

function changed(change: (header: Buffer) => void): Buffer {
  const header = plainHeader();
  change(header);
  return header;
}

describe("inspecting a qcow2 header", () => {
  test("takes a self-contained image and tells its virtual size", () => {
    expect(inspectHeader(plainHeader())).toEqual({ virtualBytes: 512 * MIB });
  });

  test.each<[string, Buffer]>([
    ["is no qcow2 file", Buffer.alloc(4096)],
    ["is no qcow2 file", plainHeader().subarray(0, 100)],
    ["version 2", changed((header) => header.writeUInt32BE(2, 4))],
    ["has a backing file", changed((header) => header.writeBigUInt64BE(512n, 8))],
    ["is encrypted", changed((header) => header.writeUInt32BE(2, 32))],
    ["internal snapshots", changed((header) => header.writeUInt32BE(1, 60))],
    ["external data file", changed((header) => header.writeBigUInt64BE(4n, 72))],
    ["not closed cleanly", changed((header) => header.writeBigUInt64BE(1n, 72))],
    ["not closed cleanly", changed((header) => header.writeBigUInt64BE(2n, 72))],
    ["not known here", changed((header) => header.writeBigUInt64BE(1n << 40n, 72))],
    ["external data file", changed((header) => header.writeUInt32BE(0x44415441, 112))],
    ["backing format", changed((header) => header.writeUInt32BE(0xe2792aca, 112))],
    ["without an end", changed((header) => header.writeUInt32BE(0xffffffff, 100))],
    ["virtual size of 0 bytes", changed((header) => header.writeBigUInt64BE(0n, 24))],
    ["virtual size of 513", changed((header) => header.writeBigUInt64BE(513n, 24))],
    ["virtual size of 45", changed((header) => header.writeBigUInt64BE(2n ** 52n, 24))],
  ])("refuses one that %s", (why, header) => {
    expect(inspectHeader(header)).toEqual({ refused: expect.stringContaining(why) });
  });

  test("refuses an overlay of our own", () => {
    const { parts } = encodeOverlay({ backing: { path: "/b", format: "raw" }, virtualBytes: MIB });
    expect(inspectHeader(parts[0]?.bytes as Buffer)).toEqual({ refused: "has a backing file" });
  });

  test("whatever the bytes are, it ends with an answer", () => {
    const anything = fc.uint8Array({ minLength: 0, maxLength: 512 });
    fc.assert(
      fc.property(anything, anything, (head, tail) => {
        const header = changed((bytes) => {
          bytes.set(head, 4);
          bytes.set(tail, 96);
        });
        const answer = inspectHeader(header);
        expect("refused" in answer || answer.virtualBytes > 0).toBe(true);
      }),
    );
  });
});

describe("encoding an overlay", () => {
  test("refuses a path and a size that the format cannot hold", () => {
    const backing = { path: `/${"x".repeat(1023)}`, format: "qcow2" } as const;
    expect(() => encodeOverlay({ backing, virtualBytes: MIB })).toThrow("too long");
    const huge = { backing: { path: "/b", format: "raw" } as const, virtualBytes: 2 ** 45 };
    expect(() => encodeOverlay(huge)).toThrow("too large");
  });

  test("counts the bytes of a path, not its characters", () => {
    const path = "/bilder/größe";
    const { parts } = encodeOverlay({ backing: { path, format: "raw" }, virtualBytes: MIB });
    const header = parts[0]?.bytes as Buffer;
    const at = Number(header.readBigUInt64BE(8));
    expect(header.subarray(at, at + header.readUInt32BE(16)).toString()).toBe(path);
  });
});
