import { chmod, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { compileSchema } from "#lib/validate.ts";
import { LOCAL_ROUTES, type LocalRouteName } from "./local-routes.ts";

const BODY_BYTES_MAX = 16 * 1024;
const REQUEST_MS = 10_000;

/**
 * What answers the local routes, with JSON or with text; `signal` aborts when who asked hangs up. A `NotAsAsked` that it throws is told as
 * 422, and anything else is the daemon's fault, told as 500.
 */
export type LocalHandlers = Readonly<
  Record<LocalRouteName, (body: never, signal: AbortSignal) => Promise<object | string>>
>;

/** What was asked for cannot be, as things are. */
export class NotAsAsked extends Error {
  override readonly name = "NotAsAsked";
}

/**
 * The daemon's API on this host: HTTP and JSON on a Unix socket of mode 0660, so whoever may use it is decided by the socket's group.
 * Node's own server, since five routes are no reason for a framework's memory. Throws what is in the way of listening.
 */
export async function openLocalApi(
  path: string,
  handlers: LocalHandlers,
): Promise<AsyncDisposable> {
  // Whoever calls holds the daemon's lock, so a socket that is there is of a daemon that died.
  await rm(path, { force: true });
  const server = createServer({ requestTimeout: REQUEST_MS }, (request, reply) => {
    const hungUp = new AbortController();
    reply.once("close", () => {
      if (!reply.writableFinished) hungUp.abort(new Error("who asked has hung up"));
    });
    void answer(handlers, request, hungUp.signal).then(({ status, body }) =>
      send(reply, status, body),
    );
  });
  server.maxConnections = 64;
  await listen(server, path);
  await chmod(path, 0o660);
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

async function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(path, resolve);
  await promise;
}

type Answer = { readonly status: number; readonly body: object | string };

async function answer(
  handlers: LocalHandlers,
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<Answer> {
  const names = Object.keys(LOCAL_ROUTES) as LocalRouteName[];
  const name = names.find(
    (one) => LOCAL_ROUTES[one].method === request.method && LOCAL_ROUTES[one].path === request.url,
  );
  if (name === undefined) return refusal(404, "there is no such thing here");
  try {
    const body = await readBody(request);
    const [wrong] = checks[name](body);
    if (wrong !== undefined)
      return refusal(422, [wrong.path.join("."), ...wrong.says].join(" ").trim());
    return { status: 200, body: await handlers[name](body as never, signal) };
  } catch (error) {
    const status = error instanceof BadBody ? 400 : error instanceof NotAsAsked ? 422 : 500;
    return refusal(status, (error as Error).message);
  }
}

const checks = Object.fromEntries(
  Object.entries(LOCAL_ROUTES).map(([name, { body }]) => [name, compileSchema(body)]),
) as Record<LocalRouteName, ReturnType<typeof compileSchema>>;

function refusal(status: number, detail: string): Answer {
  return { status, body: { detail } };
}

class BadBody extends Error {
  override readonly name = "BadBody";
}

/** A request without a body is one with `{}`. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > BODY_BYTES_MAX) throw new BadBody("the body is too long");
    pieces.push(piece);
  }
  if (bytes === 0) return {};
  try {
    return JSON.parse(Buffer.concat(pieces).toString("utf8"));
  } catch (cause) {
    throw new BadBody("the body is no JSON", { cause });
  }
}

function send(reply: ServerResponse, status: number, body: object | string): void {
  const isText = typeof body === "string";
  const text = isText ? body : `${JSON.stringify(body)}\n`;
  reply.writeHead(status, {
    "content-type": isText ? METRICS_TYPE : "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
  });
  reply.end(text);
}

/** Of Prometheus' text format. */
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
