import { mkdir, readFile, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { command } from "#test/kit/command.ts";
import { fetchDesk, leftIn } from "#test/kit/fetch-desk.ts";
import { serve } from "#test/kit/file-server.ts";
import { smallDisk } from "#test/kit/small-disk.ts";

describe("a file", () => {
  test("is copied in, and refused when it is not what was said", async () => {
    await using desk = await fetchDesk();
    const path = join(desk.folder, "..", "disk");
    const { bytes, sha256: digest } = desk.source;
    const source = { path, bytes, sha256: digest };
    await writeFile(path, desk.content);
    expect((await readFile(await desk.download({ source }))).equals(desk.content)).toBe(true);
    expect(desk.server.asked).toEqual([]);
    await using other = await fetchDesk();
    const { folder } = other;
    const refusalOf = async (change: object) => {
      const fault = await other.faultOf({ source: { ...source, ...change }, folder });
      expect(await leftIn(folder)).toEqual([]);
      return `${fault.code}: ${fault.message}`;
    };
    const altered = join(folder, "..", "altered");
    await writeFile(altered, Buffer.alloc(bytes));
    expect(await refusalOf({ path: altered })).toMatch(/^image-refused: .* has SHA-256/);
    await truncate(altered, bytes - 1);
    expect(await refusalOf({ path: altered })).toMatch(/^image-refused: .* has 299999 bytes/);
    await truncate(altered, bytes + 1);
    expect(await refusalOf({ path: altered })).toMatch(/^image-refused: .* has 300001 bytes/);
  });

  test("that is a link, a FIFO, a device or a folder is refused without waiting for it", async () => {
    await using desk = await fetchDesk();
    const { bytes, sha256: digest } = desk.source;
    const at = (name: string) => join(desk.folder, "..", name);
    await writeFile(at("disk"), desk.content);
    await symlink("disk", at("link"));
    await mkdir(at("a-folder"));
    expect((await command("mkfifo", [at("fifo")])).exitCode).toBe(0);
    const faultOf = (path: string) => desk.faultOf({ source: { path, bytes, sha256: digest } });
    for (const path of [at("link"), at("fifo"), at("a-folder"), "/dev/zero"]) {
      const { code, message } = await faultOf(path);
      expect(code).toBe("image-refused");
      expect(message).toContain("not a regular file");
    }
    expect((await faultOf(at("nothing"))).code).toBe("image-fetch-failed");
    await desk.download({ source: { path: at("disk"), bytes, sha256: digest } });
  });
});

describe("a disk", () => {
  test("without room for the file is found out before anything is asked", async () => {
    await using disk = await smallDisk(4);
    await using desk = await fetchDesk(5 * 2 ** 20);
    desk.server.answers(serve(desk.content));
    const folder = join(disk.path, "fetching");
    const fault = await desk.faultOf({ folder });
    expect(fault).toMatchObject({ code: "host-disk-full", blame: "host" });
    expect(desk.server.asked).toEqual([]);
    expect(await leftIn(folder)).toEqual([]);
  });

  test("that others fill meanwhile: what came is kept, and the rest is fetched when there is room", async () => {
    await using disk = await smallDisk(16);
    await using desk = await fetchDesk(8 * 2 ** 20);
    const folder = join(disk.path, "fetching");
    desk.server.answers((request, reply) => {
      reply.writeHead(200, { "content-length": desk.content.length, etag: '"one"' });
      reply.write(desk.content.subarray(0, 2 ** 20));
      const others = Buffer.alloc(12 * 2 ** 20);
      const rest = () => reply.end(desk.content.subarray(2 ** 20));
      writeFile(join(disk.path, "others"), others).then(rest, request.destroy);
    });
    const fault = await desk.faultOf({ folder });
    expect(fault.code).toBe("host-disk-full");
    const { size } = await stat(join(folder, `${desk.source.sha256}.part`));
    expect(size).toBeGreaterThanOrEqual(2 ** 20);
    await truncate(join(disk.path, "others"), 0);
    desk.server.answers(serve(desk.content));
    expect((await readFile(await desk.download({ folder }))).equals(desk.content)).toBe(true);
    expect(desk.ranges().at(-1)).toBe(`bytes=${size}-`);
  });
});
