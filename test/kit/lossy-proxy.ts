import {
  createServer,
  request as forward,
  type IncomingMessage,
  type RequestOptions,
} from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";

/** Whether the answer to this request is to be lost on its way; the service has done what was asked then. */
export type Loses = (request: IncomingMessage, status: number) => boolean;

/** Whether this request reaches the service twice; its sender hears the second answer. */
export type Repeats = (request: IncomingMessage) => boolean;

/** An HTTP proxy before a service that loses answers: the client's connection ends without one. It may also say things twice. */
export async function lossyProxy(service: string, loses: Loses, repeats: Repeats = () => false) {
  const target = new URL(service);
  const server = createServer(async (request, reply) => {
    const { method, url, headers } = request;
    const { hostname, port } = target;
    const to = { hostname, port, method, path: url, headers };
    const body = repeats(request) ? await once(to, request) : request;
    const asked = forward(to, (answer) => {
      if (loses(request, answer.statusCode ?? 0)) {
        answer.resume();
        reply.destroy();
        return;
      }
      reply.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(reply);
    });
    asked.on("error", () => reply.destroy());
    reply.on("close", () => asked.destroy());
    body.pipe(asked);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

/** Sends a request whose answer nobody hears; returns its body, to be sent again. */
async function once(to: RequestOptions, request: IncomingMessage): Promise<Readable> {
  const body = await buffer(request);
  await new Promise<void>((done) => {
    const asked = forward(to, (answer) => {
      answer.resume();
      answer.on("close", done);
    });
    asked.on("error", () => done());
    asked.end(body);
  });
  return Readable.from([body]);
}
