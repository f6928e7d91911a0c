import { once } from "node:events";
import { createReadStream } from "node:fs";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type FetchRules, fetchRules } from "#host/images/fetch/url-rules.ts";
import { type Certificate, certificateFor } from "./certificate.ts";

/** Answers one request. What it leaves open is closed with the server. */
export type Answer = (request: IncomingMessage, reply: ServerResponse) => unknown;

export type FileServer = {
  /** Of `files.example`, which `rules` resolves to loopback. */
  url(path: string): string;
  readonly port: number;
  readonly ca: string;
  /** What was asked, in order. */
  readonly asked: { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  /** How the next requests are answered: each by the next of these, all others by the last. */
  answers(...answers: readonly Answer[]): void;
  /** Rules for a catalogue on this server, with its certificate and loopback allowed. */
  rules(more?: { readonly hosts?: readonly string[] }): FetchRules;
};

let certificate: Promise<Certificate> | undefined;

/** An HTTPS server on loopback that does what it is told, wrong things too. */
export async function fileServer(): Promise<FileServer & AsyncDisposable> {
  certificate ??= certificateFor(["DNS:files.example", "DNS:other.example", "DNS:localhost"]);
  const { cert, key } = await certificate;
  const asked: FileServer["asked"] = [];
  let answers: Answer[] = [];
  const server = createServer({ cert, key }, (request, reply) => {
    asked.push({ path: request.url ?? "", headers: request.headers });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    answer?.(request, reply);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const url = (path: string) => `https://files.example:${port}${path}`;
  return {
    url,
    port,
    ca: cert,
    asked,
    answers: (...next) => {
      answers = [...next];
    },
    rules: (more = {}) => ({
      ...fetchRules({
        catalogue: url("/catalogue.json"),
        allowAddresses: ["127.0.0.0/8"],
        ca: cert,
        ...more,
      }),
      resolve: async () => [{ address: "127.0.0.1", family: 4 }],
    }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Serves `body` as a good server does: by range, on the condition that the file is still the same. */
export function serve(body: Buffer, etag = '"one"'): Answer {
  return (request, reply) => {
    const { range, "if-range": ifRange } = request.headers;
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? Number.NaN);
    reply.setHeader("etag", etag);
    if (Number.isNaN(from) || (ifRange !== undefined && ifRange !== etag)) {
      reply.writeHead(200, { "content-length": body.length }).end(body);
      return;
    }
    if (from >= body.length) {
      reply.writeHead(416).end();
      return;
    }
    const rest = body.subarray(from);
    const contentRange = `bytes ${from}-${body.length - 1}/${body.length}`;
    reply.writeHead(206, { "content-length": rest.length, "content-range": contentRange });
    reply.end(rest);
  };
}

/** Serves the files of a folder, whole ones only. */
export function serveFolder(folder: string): Answer {
  return ({ url = "" }, reply) => {
    const pieces = createReadStream(join(folder, new URL(url, "https://files.example").pathname));
    pieces.once("error", () => (reply.headersSent ? reply.destroy() : reply.writeHead(404).end()));
    pieces.pipe(reply);
  };
}

/**
 * Serves like `serve`, but breaks the connection off so many bytes after the first one that was asked for, as soon as `arrived` says that
 * the reader has them; unless that is all there is.
 */
export function tornAfter(
  bytes: number,
  body: Buffer,
  arrived: (total: number) => Promise<void>,
  etag?: string,
): Answer {
  return (request, reply) => {
    const end = reply.end.bind(reply);
    reply.end = ((rest?: Buffer) => {
      if (rest === undefined || rest.length <= bytes) return end(rest);
      reply.write(rest.subarray(0, bytes));
      const tear = () => request.socket.destroy();
      arrived(body.length - rest.length + bytes).then(tear, tear);
      return reply;
    }) as typeof reply.end;
    serve(body, etag)(request, reply);
  };
}

/** Sends the reader on to another address. */
export function redirect(location: string, status = 302): Answer {
  return (_request, reply) => reply.writeHead(status, { location }).end();
}
