import { createServer, request as forward, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** Whether the answer to this request is to be lost on its way; the service has done what was asked then. */
export type Loses = (request: IncomingMessage, status: number) => boolean;

/** An HTTP proxy before a service that loses answers: the client's connection ends without one. */
export async function lossyProxy(service: string, loses: Loses) {
  const target = new URL(service);
  const server = createServer((request, reply) => {
    const { method, url, headers } = request;
    const { hostname, port } = target;
    const asked = forward({ hostname, port, method, path: url, headers }, (answer) => {
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
    request.pipe(asked);
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
