import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inspectEnds } from "#host/images/inspect/inspect-disk.ts";
import { PLAIN_FILE_BYTES, PLAIN_VIRTUAL_BYTES, plainHeader } from "#test/kit/plain-qcow2.ts";

const MIB = 2 ** 20;
const HEAD_BYTES = 68 * 1024;
type Format = "qcow2" | "raw";

const TWINS: Record<Format, { head: () => Buffer; fileBytes: number; virtualBytes: number }> = {
  qcow2: {
    head: () => plainHeader(),
    fileBytes: PLAIN_FILE_BYTES,
    virtualBytes: PLAIN_VIRTUAL_BYTES,
  },
  raw: { head: () => partitioned(), fileBytes: MIB, virtualBytes: MIB },
};

/** A boot sector with one partition of Linux. */
function partitioned(head = Buffer.alloc(HEAD_BYTES)): Buffer {
  head.writeUInt8(0x83, 446 + 4);
  head.writeUInt32LE(2048, 446 + 12);
  head.writeUInt16LE(0xaa55, 510);
  return head;
}

/** Judges a plain image of this format into which some bytes were written, at a place from its start or its end. */
function inspect(format: Format, at = 0, text = "", fileBytes = TWINS[format].fileBytes) {
  const head = Buffer.alloc(HEAD_BYTES);
  TWINS[format].head().copy(head);
  const tail = Buffer.alloc(1024);
  if (at < 0) tail.write(text, tail.length + at, "latin1");
  else head.write(text, at, "latin1");
  return inspectEnds({ head, tail }, { format, fileBytes, virtualBytesMax: 2 ** 40 });
}

describe.each(["qcow2", "raw"] as const)("a file that is said to be %s", (format) => {
  test("is taken when it is that alone", () => {
    const { virtualBytes } = TWINS[format];
    expect(inspect(format)).toEqual({ virtualBytes });
    // One byte beside a magic number's place says nothing.
    expect(inspect(format, 0x8002, "CD001")).toEqual({ virtualBytes });
    expect(inspect(format, -513, "conectix")).toEqual({ virtualBytes });
    expect(inspect(format, 0x44, "\x7f\x10\xda\xbe")).not.toEqual({
      refused: expect.stringContaining("VDI"),
    });
  });

  test.each([
    ["VDI", 0x40, "\x7f\x10\xda\xbe"],
    ["VHD", -512, "conectix"],
    ["VHD", -511, "conectix"],
    ["DMG", -512, "koly"],
    ["ISO 9660", 0x8001, "CD001"],
    ["ISO 9660", 0x9001, "CD001"],
    ["UDF", 0x8001, "BEA01"],
    ["LUKS", 0x4000, "SKUL\xba\xbe"],
    ["tar", 257, "ustar"],
  ])("is refused when it is %s too, at %i", (other, at, text) => {
    expect(inspect(format, at, text)).toEqual({
      refused: `is ${other}, and not ${format} alone`,
    });
  });

  test.each([
    ["VMDK", "KDMV"],
    ["VMDK", "COWD"],
    ["VMDK", "# Disk DescriptorFile\nversion=1\n"],
    ["VMDK", "# disk descriptorfile\r\n"],
    ["VMDK", "# anything\r\n\n  \n#\nversion=3\n"],
    ["VHD", "conectix"],
    ["VHDX", "vhdxfile"],
    ["QED", "QED\0"],
    ["Parallels", "WithoutFreeSpace"],
    ["Parallels", "WithouFreSpacExt"],
    ["Bochs", "Bochs Virtual HD Image\0"],
    ["cloop", "#!/bin/sh\n#V2.0 Format\nmodprobe cloop"],
    ["LUKS", "LUKS\xba\xbe"],
    ["Expert Witness", "EVF\x09\x0d\x0a\xff\0"],
    ["gzip", "\x1f\x8b\x08"],
    ["xz", "\xfd7zXZ\0"],
    ["zstd", "\x28\xb5\x2f\xfd"],
    ["bzip2", "BZh9"],
    ["lz4", "\x04\x22\x4d\x18"],
    ["zip", "PK\x03\x04"],
    ["7z", "7z\xbc\xaf\x27\x1c"],
    ["qcow", "QFI\xfb\0\0\0\x01"],
  ])("is refused when it begins as %s does", (other, text) => {
    expect(inspect(format, 0, text)).toEqual({
      refused: expect.stringMatching(new RegExp(`^is ${other}( and |, and not ${format} alone)`)),
    });
  });

  test("is refused with every format that it is", () => {
    const head = Buffer.alloc(HEAD_BYTES);
    head.write("vhdxfile", 0, "latin1");
    head.write("CD001", 0x8001, "latin1");
    const tail = Buffer.from("koly".padEnd(512, "\0"));
    const claim = { format, fileBytes: MIB, virtualBytesMax: MIB };
    expect(inspectEnds({ head, tail }, claim)).toEqual({
      refused: `is VHDX and DMG and ISO 9660, and not ${format} alone`,
    });
  });

  test("ends with an answer, soon, whatever the bytes are", () => {
    const bytes = fc.uint8Array({ maxLength: 2048 }).map((array) => Buffer.from(array));
    const commented = fc
      .array(fc.constantFrom("#\r\n", "#\n", " \r\n", "\n", "# \r\r\n", "version"), {
        maxLength: 3000,
      })
      .map((lines) => Buffer.from(lines.join("")));
    fc.assert(
      fc.property(fc.oneof(bytes, commented), bytes, fc.nat(), (head, tail, fileBytes) => {
        const answer = inspectEnds({ head, tail }, { format, fileBytes, virtualBytesMax: MIB });
        expect(answer).toSatisfy((found: object) => "refused" in found || "virtualBytes" in found);
      }),
      { numRuns: 500 },
    );
  });
});

test.each([
  ["GPT", 512, "EFI PART"],
  ["GPT", 4096, "EFI PART"],
  ["btrfs", 0x10040, "_BHRfS_M"],
  ["a boot sector", 510, "\x55\xaa"],
])("a qcow2 file with the marks of a bare disk (%s) is refused", (other, at, text) => {
  expect(inspect("qcow2", at, text)).toEqual({ refused: `is ${other}, and not qcow2 alone` });
});

test("a raw image that begins as a qcow2 file is refused, whatever follows", () => {
  const head = partitioned(Buffer.concat([plainHeader(), Buffer.alloc(HEAD_BYTES)]));
  const claim = { format: "raw", fileBytes: MIB, virtualBytesMax: MIB } as const;
  expect(inspectEnds({ head, tail: Buffer.alloc(0) }, claim)).toEqual({
    refused: "is qcow2, and not raw alone",
  });
});

describe("a raw image", () => {
  const raw = (head: Buffer, fileBytes = MIB) =>
    inspectEnds(
      { head, tail: Buffer.alloc(1024) },
      { format: "raw", fileBytes, virtualBytesMax: MIB },
    );
  const blank = () => Buffer.alloc(HEAD_BYTES);
  const marked = (at: number, text: string) => {
    const head = blank();
    head.write(text, at, "latin1");
    return head;
  };
  const ext = (change: (head: Buffer) => void = () => undefined) => {
    const head = blank();
    head.writeUInt32LE(1024, 1024);
    head.writeUInt32LE(2, 1024 + 0x18);
    head.writeUInt32LE(32768, 1024 + 0x20);
    head.writeUInt16LE(0xef53, 1024 + 0x38);
    head.writeUInt32LE(1, 1024 + 0x4c);
    change(head);
    return head;
  };

  test.each([
    ["an MBR", partitioned()],
    ["a GPT", marked(512, "EFI PART")],
    ["a GPT of large sectors", marked(4096, "EFI PART")],
    ["ext4", ext()],
    ["XFS", marked(0, "XFSB")],
    ["btrfs", marked(0x10040, "_BHRfS_M")],
  ])("with %s is taken", (_, head) => {
    expect(raw(head)).toEqual({ virtualBytes: MIB });
  });

  test.each([
    ["nothing", blank()],
    ["a boot sector without a partition", marked(510, "\x55\xaa")],
    ["a partition without a boot sector", partitioned().fill(0, 510, 512)],
    ["a partition whose status is none", partitioned().fill(0x41, 446, 447)],
    ["ext4's two bytes alone", ext((head) => head.writeUInt32LE(0, 1024))],
    ["a text", marked(0, "root:x:0:0:root:/root:/bin/sh\n")],
    ["an ELF program", marked(0, "\x7fELF")],
  ])("with %s is refused", (_, head) => {
    expect(raw(head)).toEqual({
      refused: "has neither a partition table nor a file system of Linux",
    });
  });

  test("has a size of whole sectors, and no larger than it may be", () => {
    expect(raw(partitioned(), MIB - 1)).toEqual({
      refused: `has a virtual size of ${MIB - 1} bytes`,
    });
    expect(raw(partitioned(), MIB + 512)).toEqual({
      refused: `has a virtual size of ${MIB + 512} bytes`,
    });
    expect(raw(partitioned(), MIB - 512)).toEqual({ virtualBytes: MIB - 512 });
  });
});
