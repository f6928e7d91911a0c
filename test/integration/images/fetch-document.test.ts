import { describe, expect, test } from "vitest";
import { fetchDocument } from "#host/images/fetch/fetch-document.ts";
import { Fault } from "#job/fault.ts";
import { inTime, QUICK } from "#test/kit/fetch-desk.ts";
import { type Answer, type FileServer, fileServer, redirect } from "#test/kit/file-server.ts";

const BYTES_MAX = 100_000;

const fetchIt = (server: FileServer, address = "catalogue.json", limits = QUICK) =>
  fetchDocument(address, server.rules(), { bytesMax: BYTES_MAX, limits }, inTime());

const faultOf = (...order: Parameters<typeof fetchIt>) =>
  fetchIt(...order).then(() => {
    throw new Error("it was fetched");
  }, Fault.from);

const whole =
  (body: string | Buffer): Answer =>
  (_request, reply) =>
    reply.end(body);

describe("a document", () => {
  test("is fetched whole, from an address relative to the catalogue, through a redirect", async () => {
    await using server = await fileServer();
    server.answers(redirect("/v2/catalogue.json"), whole("{}"));
    expect((await fetchIt(server)).toString()).toBe("{}");
    expect(server.asked.map(({ path }) => path)).toEqual(["/catalogue.json", "/v2/catalogue.json"]);
    server.answers(whole(""));
    expect(await fetchIt(server)).toHaveLength(0);
  });

  test("may be as long as was said and no longer, whether its length is told or not", async () => {
    await using server = await fileServer();
    const chunked =
      (body: Buffer): Answer =>
      (_request, reply) => {
        reply.write(body.subarray(0, 1));
        reply.end(body.subarray(1));
      };
    for (const answer of [whole, chunked]) {
      server.answers(answer(Buffer.alloc(BYTES_MAX)));
      expect(await fetchIt(server)).toHaveLength(BYTES_MAX);
      server.answers(answer(Buffer.alloc(BYTES_MAX + 1)));
      const fault = await faultOf(server);
      expect(fault.code).toBe("image-refused");
      expect(fault.message).toContain("is longer than 100000 bytes");
    }
  });

  test("of five gigabytes by its own word, or without end, is refused at once", async () => {
    await using server = await fileServer();
    server.answers((_request, reply) => {
      reply.writeHead(200, { "content-length": 5_000_000_000 });
      reply.write("{");
    });
    expect((await faultOf(server)).code).toBe("image-refused");
    server.answers((_request, reply) => {
      const more = () => {
        while (!reply.destroyed && reply.write(Buffer.alloc(65_536)));
      };
      reply.on("drain", more);
      more();
    });
    expect((await faultOf(server)).code).toBe("image-refused");
    expect(server.asked).toHaveLength(2);
  });

  test("that trickles, breaks off, or never begins is asked for three times", async () => {
    await using server = await fileServer();
    const limits = { ...QUICK, answerMs: 300, windowMs: 200, windowBytes: 1000 };
    const trickle: Answer = (_request, reply) => {
      const drip = setInterval(() => reply.write(" "), 10);
      reply.on("close", () => clearInterval(drip));
    };
    const torn: Answer = (request, reply) => {
      reply.writeHead(200, { "content-length": 100 });
      reply.write("{", () => request.socket.destroy());
    };
    server.answers(torn, trickle, () => undefined);
    const fault = await faultOf(server, "catalogue.json", limits);
    expect(fault).toMatchObject({ code: "image-fetch-failed", blame: "host" });
    expect(fault.message).toContain("did not answer within 0.3 s");
    expect(server.asked).toHaveLength(3);
    server.answers(torn, trickle, whole("{}"));
    expect(
      (await fetchIt(server, "catalogue.json", { ...limits, answerMs: 10_000 })).toString(),
    ).toBe("{}");
  });

  test("that is not there says so, and one that is sent packed is refused", async () => {
    await using server = await fileServer();
    server.answers((_request, reply) => reply.writeHead(404).end());
    expect(await faultOf(server)).toMatchObject({
      code: "image-fetch-failed",
      evidence: { status: 404 },
    });
    server.answers((_request, reply) => reply.writeHead(200, { "content-encoding": "br" }).end());
    expect((await faultOf(server)).code).toBe("image-refused");
    expect((await faultOf(server, "http://files.example/catalogue.json")).code).toBe(
      "image-refused",
    );
    expect(server.asked).toHaveLength(2);
  });
});
