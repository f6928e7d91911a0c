import fc from "fast-check";
import { expect, test } from "vitest";
import { ArchiveError, ArchiveReader, skip, wholeContent } from "#host/guest/read-archive.ts";
import { TAR_END, tarHeader, tarPadding } from "#host/guest/tar-writer.ts";

/** Reads an archive in pieces of a size; what it holds, and the error that ended it, if one did. */
async function read(archive: Buffer, pieceBytes: number) {
  const files: [string, string][] = [];
  const reader = new ArchiveReader(async (entry) => {
    if (entry.isFile) files.push([entry.name, (await wholeContent(entry)).toString()]);
    else await skip(entry);
  });
  try {
    for (let at = 0; at < archive.length; at += pieceBytes) {
      await reader.write(archive.subarray(at, at + pieceBytes));
    }
    await reader.end();
    return { files, error: undefined };
  } catch (error) {
    return { files, error };
  } finally {
    reader.destroy();
  }
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
        expect(await read(archiveOf(files), pieceBytes)).toEqual({ files, error: undefined });
      },
    ),
    { numRuns: 50 },
  );
});

test("garbage, alone or inside an archive, is an archive error or nothing", async () => {
  const good = archiveOf([["good", "content"]]);
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 3000 }),
      fc.integer({ min: 0, max: good.length }),
      async (garbage, at) => {
        const broken = Buffer.concat([good.subarray(0, at), garbage, good.subarray(at)]);
        const { error } = await read(broken, 700);
        if (error !== undefined) expect(error).toBeInstanceOf(ArchiveError);
      },
    ),
    { numRuns: 100 },
  );
});

test("a broken bit anywhere in a header is an archive error or another honest reading", async () => {
  const good = archiveOf([["good", "content"]]);
  for (let at = 0; at < 512; at += 7) {
    const broken = Buffer.from(good);
    broken.writeUInt8(broken.readUInt8(at) ^ 0xff, at);
    const { error } = await read(broken, 4096);
    if (error !== undefined) expect(error).toBeInstanceOf(ArchiveError);
  }
});

test("an error of the taker is thrown as it is", async () => {
  const reader = new ArchiveReader(async () => {
    throw new TypeError("mine");
  });
  const reading = reader.write(archiveOf([["a", "b"]])).then(() => reader.end());
  await expect(reading).rejects.toThrow("mine");
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
