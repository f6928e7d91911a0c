import { describe, expect, test } from "vitest";
import { inspectHeader } from "#host/images/inspect/qcow2-header.ts";
import { encodeOverlay } from "#host/images/store/qcow2-overlay.ts";

const MIB = 1024 * 1024;

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

  test("gives what is refused as an image", () => {
    const { parts, fileBytes } = encodeOverlay({
      backing: { path: "/b", format: "raw" },
      virtualBytes: MIB,
    });
    const bounds = { fileBytes, virtualBytesMax: MIB };
    expect(inspectHeader(parts[0]?.bytes as Buffer, bounds)).toEqual({
      refused: "has a backing file",
    });
  });
});
