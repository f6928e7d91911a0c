import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { eventually } from "#test/kit/eventually.ts";
import { fetchDesk, leftIn, QUICK } from "#test/kit/fetch-desk.ts";
import { type Answer, serve } from "#test/kit/file-server.ts";

describe("a download", () => {
  test("is whole, under its digest, and told of as it comes", async () => {
    await using desk = await fetchDesk();
    desk.server.answers(serve(desk.content));
    const told: number[] = [];
    const path = await desk.download({
      onProgress: ({ doneBytes, totalBytes }) => {
        expect(totalBytes).toBe(300_000);
        told.push(doneBytes);
      },
    });
    expect(path).toBe(desk.whole);
    expect((await readFile(path)).equals(desk.content)).toBe(true);
    expect([told[0], told.at(-1)]).toEqual([0, 300_000]);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(await leftIn(desk.folder)).toEqual([desk.source.sha256]);
    const { headers } = desk.server.asked[0] ?? {};
    expect(headers).toMatchObject({ "accept-encoding": "identity" });
    expect(Object.keys(headers ?? {})).not.toContain("authorization");
  });

  test("happens once: the next asks nobody, unless somebody changed the file", async () => {
    await using desk = await fetchDesk();
    desk.server.answers(serve(desk.content));
    await desk.download();
    await desk.download();
    expect(desk.server.asked).toHaveLength(1);
    await writeFile(desk.whole, Buffer.alloc(desk.content.length));
    await desk.download();
    expect((await readFile(desk.whole)).equals(desk.content)).toBe(true);
    expect(desk.server.asked).toHaveLength(2);
  });

  test("that breaks off asks for the rest only", async () => {
    await using desk = await fetchDesk();
    const torn = desk.torn(100_000);
    desk.server.answers(torn, torn, serve(desk.content));
    await desk.download();
    expect((await readFile(desk.whole)).equals(desk.content)).toBe(true);
    const [first, second, third] = desk.ranges();
    expect(first).toBeUndefined();
    expect([second, third]).toEqual(["bytes=100000-", "bytes=200000-"]);
    expect(desk.server.asked[1]?.headers["if-range"]).toBe('"one"');
  });

  test("goes on as long as something comes, and gives up when nothing does", async () => {
    await using desk = await fetchDesk();
    desk.server.answers(desk.torn(60_000));
    await desk.download();
    expect(desk.server.asked.length).toBeGreaterThan(QUICK.tries);
    await using other = await fetchDesk();
    const nothing: Answer = (request) => request.socket.destroy();
    other.server.answers(other.torn(60_000), nothing);
    const fault = await other.faultOf();
    expect(fault).toMatchObject({ code: "image-fetch-failed", blame: "host", retry: "elsewhere" });
    expect(fault.message).toContain("60000 of 300000 bytes are here");
    expect(await leftIn(other.folder)).toEqual([
      `${other.source.sha256}.part`,
      `${other.source.sha256}.part.json`,
    ]);
    other.server.answers(serve(other.content));
    await other.download();
    expect(other.ranges().at(-1)).toBe("bytes=60000-");
    expect(await leftIn(other.folder)).toEqual([other.source.sha256]);
  });

  test("of a busy server waits and tries again; of one that has no such file it does not", async () => {
    await using desk = await fetchDesk();
    const busy: Answer = (_request, reply) => reply.writeHead(503).end();
    desk.server.answers(busy, busy, serve(desk.content));
    await desk.download();
    expect(desk.server.asked).toHaveLength(3);
    await using other = await fetchDesk();
    other.server.answers((_request, reply) => reply.writeHead(404).end());
    expect(await other.faultOf()).toMatchObject({
      code: "image-fetch-failed",
      evidence: { status: 404 },
    });
    expect(other.server.asked).toHaveLength(1);
    expect(await leftIn(other.folder)).toEqual([]);
  });

  test("stops when it is told to, and what came is kept", async () => {
    await using desk = await fetchDesk();
    desk.server.answers((_request, reply) => {
      reply.writeHead(200, { "content-length": desk.content.length });
      reply.write(desk.content.subarray(0, 100_000));
    });
    const stop = new AbortController();
    const reason = new Error("the user has gone home");
    const onProgress = ({ doneBytes }: { doneBytes: number }) => {
      if (doneBytes === 100_000) stop.abort(reason);
    };
    await expect(desk.download({ onProgress }, stop.signal)).rejects.toBe(reason);
    expect((await stat(desk.part)).size).toBe(100_000);
    desk.server.answers(serve(desk.content));
    await desk.download();
    expect(desk.ranges().at(-1)).toBe("bytes=100000-");
  });
});

describe("a server that goes on with something else", () => {
  test("because its file is another one now: all of it is fetched", async () => {
    await using desk = await fetchDesk();
    const old = Buffer.alloc(desk.content.length, "old");
    desk.server.answers(desk.torn(100_000, old, '"old"'), serve(desk.content, '"new"'));
    await desk.download();
    expect((await readFile(desk.whole)).equals(desk.content)).toBe(true);
    expect(desk.server.asked[1]?.headers["if-range"]).toBe('"old"');
  });

  test("without saying so: what does not fit together is fetched anew, once", async () => {
    await using desk = await fetchDesk();
    const old = Buffer.alloc(desk.content.length, "old");
    desk.server.answers(desk.torn(100_000, old), serve(desk.content));
    await desk.download();
    expect((await readFile(desk.whole)).equals(desk.content)).toBe(true);
    expect(desk.ranges()).toEqual([undefined, "bytes=100000-", undefined]);
    await using other = await fetchDesk();
    other.server.answers(other.torn(100_000, old));
    const fault = await other.faultOf();
    expect(fault).toMatchObject({ code: "image-refused", blame: "image" });
    expect(fault.message).toContain("has SHA-256");
    expect(other.server.asked).toHaveLength(6);
    expect(await leftIn(other.folder)).toEqual([]);
  });

  test("a part that a power cut left damaged is fetched anew", async () => {
    await using desk = await fetchDesk();
    desk.server.answers(serve(desk.content));
    await mkdir(desk.folder);
    await writeFile(desk.part, Buffer.alloc(100_000));
    await desk.download();
    expect(desk.ranges()).toEqual(["bytes=100000-", undefined]);
  });

  test("a part that is longer than the file, or as long, is not asked for at an impossible place", async () => {
    await using desk = await fetchDesk();
    desk.server.answers(serve(desk.content));
    await mkdir(desk.folder);
    await writeFile(desk.part, Buffer.alloc(300_001));
    await desk.download();
    expect(desk.ranges()).toEqual([undefined]);
    await using other = await fetchDesk();
    await mkdir(other.folder);
    await writeFile(other.part, other.content);
    await other.download();
    expect(other.server.asked).toEqual([]);
  });

  test.each<[string, Answer]>([
    [
      "another range",
      (_q, reply) =>
        reply.writeHead(206, { "content-range": "bytes 0-9/300000" }).end("0123456789"),
    ],
    ["no word on the range", (_q, reply) => reply.writeHead(206).end("0123456789")],
    ["416", (_q, reply) => reply.writeHead(416).end()],
  ])("%s: all of it is fetched", async (_name, wrong) => {
    await using desk = await fetchDesk();
    desk.server.answers(desk.torn(100_000), wrong, serve(desk.content));
    await desk.download();
    expect((await readFile(desk.whole)).equals(desk.content)).toBe(true);
    expect(desk.ranges()).toEqual([undefined, "bytes=100000-", undefined]);
  });

  test("416 to everything: given up", async () => {
    await using desk = await fetchDesk();
    const never: Answer = (_request, reply) => reply.writeHead(416).end();
    desk.server.answers(desk.torn(100_000), never);
    expect(await desk.faultOf()).toMatchObject({
      code: "image-fetch-failed",
      evidence: { status: 416 },
    });
    expect(desk.server.asked).toHaveLength(3);
  });

  test("206 for a file of another length: refused", async () => {
    await using desk = await fetchDesk();
    const longer: Answer = (_request, reply) =>
      reply.writeHead(206, { "content-range": "bytes 100000-399999/400000" }).end();
    desk.server.answers(desk.torn(100_000), longer);
    const fault = await desk.faultOf();
    expect(fault.code).toBe("image-refused");
    expect(fault.message).toContain("has 400000 bytes, not the 300000");
    expect(await leftIn(desk.folder)).toEqual([]);
  });
});

test("two at once in one process: one fetches, the other waits and has it too", async () => {
  await using desk = await fetchDesk();
  const gate = Promise.withResolvers<void>();
  desk.server.answers((request, reply) => {
    gate.promise.then(() => serve(desk.content)(request, reply), request.destroy);
  });
  const first = desk.download();
  await eventually(() => desk.server.asked.length === 1, 20_000);
  let waits = 0;
  const second = desk.download({ onWait: () => (waits += 1) });
  await eventually(() => waits === 1, 20_000);
  const stop = new AbortController();
  const third = desk.download({}, stop.signal);
  stop.abort(new Error("no longer wanted"));
  await expect(third).rejects.toThrow("no longer wanted");
  gate.resolve();
  expect(await Promise.all([first, second])).toEqual([desk.whole, desk.whole]);
  expect(desk.server.asked).toHaveLength(1);
});
