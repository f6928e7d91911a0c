import { describe, expect, test } from "vitest";
import { readInfo } from "#host/images/inspect/qemu-info.ts";

const FILE = "/proc/self/fd/0";
const MIB = 2 ** 20;

/** As QEMU 7.2 says it. */
const OLD = {
  "virtual-size": 64 * MIB,
  filename: FILE,
  "cluster-size": 65536,
  format: "qcow2",
  "actual-size": 200704,
  "format-specific": {
    type: "qcow2",
    data: {
      compat: "1.1",
      "compression-type": "zlib",
      "lazy-refcounts": false,
      "refcount-bits": 16,
      corrupt: false,
      "extended-l2": false,
    },
  },
  "dirty-flag": false,
};

const child = (info: object, name = "file") => ({ children: [{ name, info }] });
const leaf = {
  children: [],
  "virtual-size": 197120,
  filename: FILE,
  format: "file",
  "actual-size": 200704,
  "format-specific": { type: "file", data: {} },
  "dirty-flag": false,
};

/** As QEMU 8.1 and later say it. */
const NEW = { ...OLD, ...child(leaf) };
const data = (more: object) => ({
  "format-specific": { type: "qcow2", data: { ...OLD["format-specific"].data, ...more } },
});
const read = (info: unknown) => readInfo("qcow2", JSON.stringify(info));

describe("what qemu-img says of a file", () => {
  test.each([
    ["by QEMU 7.2", OLD],
    ["by QEMU 8.1", NEW],
    [
      "of version 2",
      {
        ...OLD,
        "format-specific": {
          type: "qcow2",
          data: { compat: "0.10", "compression-type": "zlib", "refcount-bits": 16 },
        },
      },
    ],
  ])("is taken as a plain image when it is described so %s", (_, info) => {
    expect(read(info)).toEqual({ virtualBytes: 64 * MIB });
  });

  test.each<[string, object]>([
    ["a backing file", { "backing-filename": "/etc/passwd" }],
    ["a backing file by its full name", { "full-backing-filename": "/etc/passwd" }],
    ["a backing format", { "backing-filename-format": "raw" }],
    ["encryption", { encrypted: true }],
    ["snapshots", { snapshots: [{ id: "1", name: "s" }] }],
    ["a dirty bit", { "dirty-flag": true }],
    ["a corrupt bit", data({ corrupt: true })],
    ["a data file", data({ "data-file": "/etc/passwd" })],
    ["a data file that is raw", data({ "data-file-raw": true })],
    ["bitmaps", data({ bitmaps: [{ name: "b" }] })],
    ["encryption within", data({ encrypt: { format: "luks" } })],
    ["the details of another format", { "format-specific": { type: "vmdk", data: {} } }],
    ["another file", { filename: "/etc/passwd" }],
    ["a child that is another file", child({ ...leaf, filename: "/etc/passwd" })],
    ["a child that is no file", child({ ...leaf, format: "nbd" })],
    ["a child with children", child({ ...leaf, children: [{ name: "file", info: leaf }] })],
    ["a backing child", child(leaf, "backing")],
    ["two children", { children: [...child(leaf).children, ...child(leaf, "data-file").children] }],
    ["a size that is no number", { "virtual-size": "64M" }],
  ])("is refused with %s", (_, change) => {
    expect(read({ ...NEW, ...change })).toEqual({
      refused: expect.stringContaining("is more to qemu-img than a plain image"),
    });
  });

  test("is refused when it is another format's", () => {
    expect(readInfo("qcow2", JSON.stringify({ ...OLD, format: "raw" }))).toEqual({
      refused: "is raw to qemu-img, not qcow2",
    });
    const raw = { "virtual-size": MIB, filename: FILE, format: "raw", "actual-size": 4096 };
    expect(readInfo("raw", JSON.stringify(raw))).toEqual({ virtualBytes: MIB });
  });

  test.each(["", "null", "[]", "{", `${JSON.stringify(OLD)}x`])(
    "is refused when it is %j",
    (text) => {
      expect(readInfo("qcow2", text)).toHaveProperty("refused");
    },
  );
});
