import fc from "fast-check";
import { pack } from "tar-stream";
import { expect, test } from "vitest";
import { ArchiveError, ArchiveReader } from "#lib/tar/read-archive.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/tar-writer.ts";

/** Reads an archive in pieces of a size; what it holds, and the error that ended it, if one did. */
function read(archive: Buffer, pieceBytes: number) {
  const files: [string, string][] = [];
  let content: Buffer[] = [];
  let entry = { name: "", isFile: false, bytes: 0 };
  const reader = new ArchiveReader({
    begin: (next) => {
      entry = next;
      content = [];
    },
    content: (part) => content.push(Buffer.from(part)),
    end: () => {
      if (entry.isFile) files.push([entry.name, Buffer.concat(content).toString()]);
    },
  });
  try {
    for (let at = 0; at < archive.length; at += pieceBytes) {
      reader.write(archive.subarray(at, at + pieceBytes));
    }
    reader.end();
    return { files, error: undefined };
  } catch (error) {
    return { files, error };
  }
}

/** The same archive as a library writes it: ustar, and PAX records for what that cannot say. */
async function packed(files: readonly (readonly [string, string])[]): Promise<Buffer> {
  const archive = pack();
  for (const [path, content] of files) archive.entry({ name: path }, content);
  archive.finalize();
  const pieces: Buffer[] = [];
  for await (const piece of archive) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

function archiveOf(files: readonly (readonly [string, string])[]): Buffer {
  const entries = files.flatMap(([name, content]) => {
    const bytes = Buffer.byteLength(content);
    const header = tarHeader({ name, kind: "file", mode: 0o644, bytes, mtimeSeconds: 1 });
    return [header, Buffer.from(content), tarPadding(bytes)];
  });
  return Buffer.concat([...entries, TAR_END]);
}

const name = fc
  .string({ minLength: 1, maxLength: 300 })
  .filter((text) => !text.includes("\0") && !text.endsWith("/") && text.isWellFormed());

test("what is written is read again, whatever names and pieces", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(name, fc.string({ maxLength: 2000 })), { maxLength: 5 }),
      fc.integer({ min: 1, max: 5000 }),
      async (files, pieceBytes) => {
        expect(read(archiveOf(files), pieceBytes)).toEqual({ files, error: undefined });
        expect(read(await packed(files), pieceBytes)).toEqual({ files, error: undefined });
      },
    ),
    { numRuns: 50 },
  );
});

test("garbage, alone or inside an archive, is an archive error or nothing", () => {
  const good = archiveOf([["good", "content"]]);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 3000 }),
      fc.integer({ min: 0, max: good.length }),
      (garbage, at) => {
        const broken = Buffer.concat([good.subarray(0, at), garbage, good.subarray(at)]);
        const { error } = read(broken, 700);
        if (error !== undefined) expect(error).toBeInstanceOf(ArchiveError);
      },
    ),
    { numRuns: 100 },
  );
});

test("a broken bit anywhere in a header is an archive error or another honest reading", () => {
  const good = archiveOf([["good", "content"]]);
  for (let at = 0; at < 512; at += 7) {
    const broken = Buffer.from(good);
    broken.writeUInt8(broken.readUInt8(at) ^ 0xff, at);
    const { error } = read(broken, 4096);
    if (error !== undefined) expect(error).toBeInstanceOf(ArchiveError);
  }
});

test("an error of the taker is thrown as it is", () => {
  const reader = new ArchiveReader({
    begin: () => {
      throw new TypeError("mine");
    },
    content: () => undefined,
    end: () => undefined,
  });
  expect(() => reader.write(archiveOf([["a", "b"]]))).toThrow(TypeError);
});

test("archives in a row are read as one", () => {
  const both = Buffer.concat([archiveOf([["a", "1"]]), archiveOf([["b", ""]])]);
  const files = [
    ["a", "1"],
    ["b", ""],
  ];
  expect(read(both, 100)).toEqual({ files, error: undefined });
});

test("a PAX record that lies about its length, or a size that is none, is an archive error", async () => {
  const long = "n".repeat(150);
  const good = await packed([[long, "content"]]);
  const at = good.indexOf(" path=");
  for (const lie of ["999", "000", "1e2", "-20"]) {
    const bad = Buffer.from(good);
    bad.write(lie, at - 3, "latin1");
    expect(read(bad, 4096).error).toBeInstanceOf(ArchiveError);
  }
});

test("a file beyond eight gibibytes has its size in the header", () => {
  const header = tarHeader({
    name: "large",
    kind: "file",
    mode: 0o644,
    bytes: 9 * 1024 ** 3,
    mtimeSeconds: 0,
  });
  expect(header.readUInt8(124)).toBe(0x80);
  expect(header.readBigUInt64BE(128)).toBe(9n * 1024n ** 3n);
});
