import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** What is answered; undefined: nothing, ever. */
export type Said =
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | object;
    }
  | undefined;

/** A request that came, with what its body says. */
export type Heard = {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly atMs: number;
};

/** A problem document of the service. */
export function problem(status: number, slug: string, more: object = {}): Said {
  return { status, body: { type: `urn:testbed:problem:${slug}`, title: slug, status, ...more } };
}

/** Something that listens where a job service is expected, and says whatever the test wants. */
export async function saidService(say: (heard: Heard) => Said | Promise<Said>) {
  const heard: Heard[] = [];
  const answer = async (request: IncomingMessage, reply: ServerResponse) => {
    const one = {
      method: request.method ?? "",
      path: request.url ?? "",
      body: await text(request),
      atMs: performance.now(),
    };
    heard.push(one);
    const said = await say(one);
    if (said === undefined) return;
    reply.writeHead(said.status, said.headers);
    reply.end(typeof said.body === "object" ? JSON.stringify(said.body) : said.body);
  };
  const server = createServer((request, reply) => {
    // A client that goes away in the middle is a part of the tests.
    answer(request, reply).catch(() => reply.destroy());
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    heard,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
