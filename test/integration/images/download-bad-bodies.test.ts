import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { fetchDesk, inTime, leftIn, QUICK, sha256 } from "#test/kit/fetch-desk.ts";
import { type Answer, serve } from "#test/kit/file-server.ts";

describe("a body that is not what was said", () => {
  const chunked =
    (body: Buffer): Answer =>
    (_request, reply) =>
      reply.writeHead(200).end(body);

  test("altered: refused, and nothing stays", async () => {
    await using desk = await fetchDesk();
    const altered = Buffer.from(desk.content);
    altered[150_000] = (altered[150_000] ?? 0) ^ 1;
    desk.server.answers(serve(altered));
    const fault = await desk.faultOf();
    expect(fault).toMatchObject({ code: "image-refused", blame: "image", retry: "elsewhere" });
    expect(fault.message).toContain(`has SHA-256 ${sha256(altered)}, not ${desk.source.sha256}`);
    expect(desk.server.asked).toHaveLength(1);
    expect(await leftIn(desk.folder)).toEqual([]);
  });

  test.each([
    ["longer", 300_001],
    ["shorter", 299_999],
  ])("%s by its own word: refused before anything is written", async (_name, length) => {
    await using desk = await fetchDesk();
    desk.server.answers(serve(Buffer.alloc(length)));
    const fault = await desk.faultOf();
    expect(fault.code).toBe("image-refused");
    expect(fault.message).toContain(`has ${length} bytes, not the 300000`);
    expect(desk.server.asked).toHaveLength(1);
    expect(await leftIn(desk.folder)).toEqual([]);
  });

  test("longer without a word: cut at once", async () => {
    await using desk = await fetchDesk();
    desk.server.answers(chunked(Buffer.concat([desk.content, Buffer.from("x")])));
    const fault = await desk.faultOf();
    expect(fault.code).toBe("image-refused");
    expect(fault.message).toContain("is longer than the 300000 bytes");
    expect(await leftIn(desk.folder)).toEqual([]);
    desk.server.answers(chunked(desk.content));
    expect((await readFile(await desk.download())).equals(desk.content)).toBe(true);
  });

  test("without end: never more on disk than was said", async () => {
    await using desk = await fetchDesk();
    let sent = 0;
    desk.server.answers((_request, reply) => {
      reply.writeHead(200);
      const more = () => {
        while (!reply.destroyed && reply.write(Buffer.alloc(65_536))) sent += 65_536;
      };
      reply.on("drain", more);
      more();
    });
    expect((await desk.faultOf()).message).toContain("is longer than the 300000 bytes");
    // What a server can have sent beyond that is what fits in the sockets.
    expect(sent).toBeLessThan(64 * 2 ** 20);
    expect(await leftIn(desk.folder)).toEqual([]);
  });

  test("shorter without a word: asked for the rest, in vain, a few times", async () => {
    await using desk = await fetchDesk();
    desk.server.answers(chunked(desk.content.subarray(0, 200_000)));
    const fault = await desk.faultOf();
    expect(fault.code).toBe("image-fetch-failed");
    expect(fault.message).toContain("ends after 200000 of 300000 bytes");
    expect(desk.server.asked.length).toBeLessThanOrEqual(QUICK.tries + 1);
  });

  test("packed though it was asked for as it is: refused, bomb or not", async () => {
    await using desk = await fetchDesk();
    desk.server.answers((_request, reply) =>
      reply.writeHead(200, { "content-encoding": "gzip" }).end(desk.content),
    );
    const fault = await desk.faultOf();
    expect(fault.code).toBe("image-refused");
    expect(fault.message).toContain("Content-Encoding 'gzip'");
    expect(await leftIn(desk.folder)).toEqual([]);
    desk.server.answers((_request, reply) =>
      reply.writeHead(200, { "content-encoding": "identity" }).end(desk.content),
    );
    await desk.download();
  });

  test("with a length that is no number: not taken", async () => {
    await using desk = await fetchDesk();
    desk.server.answers((request) =>
      request.socket.end("HTTP/1.1 200 OK\r\nContent-Length: 3e5\r\n\r\n"),
    );
    expect((await desk.faultOf()).code).toBe("image-fetch-failed");
  });

  test("too slow: given up, however often a byte comes", async () => {
    await using desk = await fetchDesk();
    desk.server.answers((_request, reply) => {
      reply.writeHead(200);
      const drip = setInterval(() => reply.write("x"), 20);
      reply.on("close", () => clearInterval(drip));
    });
    const limits = { ...QUICK, windowMs: 300, windowBytes: 10_000, tries: 2 };
    const fault = await desk.faultOf({ limits });
    expect(fault.code).toBe("image-fetch-failed");
    expect(fault.message).toMatch(/sent \d+ bytes in 0.3 s/);
    expect(desk.server.asked).toHaveLength(2);
  });

  test("slow, but not too slow: taken", async () => {
    await using desk = await fetchDesk(50);
    desk.server.answers((_request, reply) => {
      reply.writeHead(200);
      let at = 0;
      const drip = setInterval(() => {
        reply.write(desk.content.subarray(at, at + 1));
        at += 1;
        if (at === 50) reply.end();
      }, 20);
      reply.on("close", () => clearInterval(drip));
    });
    const limits = { ...QUICK, windowMs: 500, windowBytes: 1 };
    expect((await readFile(await desk.download({ limits }))).equals(desk.content)).toBe(true);
    expect(desk.server.asked).toHaveLength(1);
  });

  test("that is all there and has no end: taken when nothing more comes", async () => {
    await using desk = await fetchDesk();
    desk.server.answers((_request, reply) => reply.writeHead(200).write(desk.content));
    const limits = { ...QUICK, windowMs: 500, windowBytes: 400_000 };
    expect((await readFile(await desk.download({ limits }))).equals(desk.content)).toBe(true);
    expect(desk.server.asked).toHaveLength(1);
  });

  test("that never begins: given up", async () => {
    await using desk = await fetchDesk();
    desk.server.answers(() => undefined);
    const fault = await desk.faultOf({ limits: { ...QUICK, answerMs: 200, tries: 2 } });
    expect(fault.message).toContain("did not answer within 0.2 s");
    expect(desk.server.asked).toHaveLength(2);
  });
});

test("a large body takes no memory to speak of", async () => {
  await using desk = await fetchDesk();
  const piece = Buffer.alloc(2 ** 20, "image");
  const pieces = 200;
  const bytes = pieces * piece.length;
  const hash = createHash("sha256");
  for (let count = 0; count < pieces; count += 1) hash.update(piece);
  desk.server.answers((_request, reply) => {
    reply.writeHead(200, { "content-length": bytes });
    let left = pieces;
    const more = () => {
      while (left > 0) {
        left -= 1;
        if (!reply.write(piece)) return;
      }
      reply.end();
    };
    reply.on("drain", more);
    more();
  });
  let most = 0;
  const before = process.memoryUsage().rss;
  const onProgress = () => {
    most = Math.max(most, process.memoryUsage.rss() - before);
  };
  const source = { url: desk.source.url, bytes, sha256: hash.digest("hex") };
  await desk.download({ source, onProgress }, inTime());
  expect(most).toBeLessThan(120 * 2 ** 20);
});
