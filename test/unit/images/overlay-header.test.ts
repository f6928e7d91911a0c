import fc from "fast-check";
import { expect, test } from "vitest";
import { checkOverlayHeader } from "#host/images/inspect/overlay-header.ts";
import { encodeOverlay } from "#host/images/store/qcow2-overlay.ts";

const BACKING = { path: "/store/größe/disk.qcow2", format: "qcow2" } as const;

function overlay(backing: { path: string; format: "qcow2" | "raw" } = BACKING): Buffer {
  const header = Buffer.alloc(4096);
  const { parts } = encodeOverlay({ backing, virtualBytes: 2 ** 29 });
  parts[0]?.bytes.copy(header);
  return header;
}

function changed(change: (header: Buffer) => void): Buffer {
  const header = overlay();
  change(header);
  return header;
}

test.each([BACKING, { path: "/d", format: "raw" } as const])(
  "an overlay of ours over the image's disk is taken: $format",
  (backing) => {
    expect(checkOverlayHeader(overlay(backing), backing)).toBeUndefined();
  },
);

test.each<[string, Buffer]>([
  ["is no qcow2 file", Buffer.alloc(4096)],
  ["is no qcow2 file", overlay().subarray(0, 100)],
  ["version 3", changed((header) => header.writeUInt32BE(2, 4))],
  ["is encrypted", changed((header) => header.writeUInt32BE(2, 32))],
  ["internal snapshots", changed((header) => header.writeUInt32BE(1, 60))],
  ["external data file", changed((header) => header.writeBigUInt64BE(4n, 72))],
  ["not closed cleanly", changed((header) => header.writeBigUInt64BE(1n, 72))],
  ["not known here", changed((header) => header.writeBigUInt64BE(8n, 72))],
  ["has no backing file", changed((header) => header.writeBigUInt64BE(0n, 8))],
  ["not in its header", changed((header) => header.writeBigUInt64BE(2n ** 60n, 8))],
  ["not in its header", changed((header) => header.writeUInt32BE(0xffffffff, 16))],
  ["another file", overlay({ ...BACKING, path: "/etc/shadow" })],
  ["another file", overlay({ ...BACKING, path: `${BACKING.path}.` })],
  ["another format", overlay({ ...BACKING, format: "raw" })],
  ["does not say", changed((header) => header.writeUInt32BE(0x6803f857, 112))],
  ["external data file", changed((header) => header.writeUInt32BE(0x44415441, 112))],
  ["without an end", changed((header) => header.writeBigUInt64BE(0x6803f857_ffffffffn, 112))],
])("one that %s is refused", (why, header) => {
  expect(checkOverlayHeader(header, BACKING)).toContain(why);
});

test("whatever the bytes are, it ends, and what it takes is over that disk", () => {
  const anything = fc.uint8Array({ minLength: 0, maxLength: 512 });
  fc.assert(
    fc.property(anything, anything, (head, tail) => {
      const header = changed((bytes) => {
        bytes.set(head, 4);
        bytes.set(tail, 96);
      });
      const answer = checkOverlayHeader(header, BACKING);
      if (answer === undefined) expect(header.includes(BACKING.path)).toBe(true);
    }),
  );
});
