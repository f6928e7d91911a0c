import type { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Route } from "#protocol/route.ts";
import { ROUTES } from "#protocol/routes.ts";
import type { TokenView } from "#protocol/token.ts";
import type { Ask, Handlers, Reply } from "./ask.ts";
import type { BodyBudget } from "./body-budget.ts";
import type { Gate, Peer } from "./gate.ts";
import { checking, parseQuery, pickHeaders, roomFor, withNumbers } from "./read-request.ts";
import { Refusal } from "./refusal.ts";
import { send } from "./send.ts";

type AnyHandler = (ask: Ask<unknown>) => Promise<Reply>;
type Asked = Pick<Ask<unknown>, "path" | "query" | "headers"> & { token: TokenView | undefined };

declare module "fastify" {
  interface FastifyRequest {
    /** What was read of a request before its body; missing until then. */
    asked: Asked | undefined;
  }
}

/** What the routes need besides their handlers. */
export type Desk = {
  readonly gate: Gate;
  readonly bodies: BodyBudget;
  /** Aborts when the service stops. */
  readonly stopping: AbortSignal;
};

/** Makes every row of the table of routes a route of the server, and answers other methods on their paths with 405. */
export function registerRoutes(app: FastifyInstance, handlers: Handlers, desk: Desk): void {
  app.decorateRequest("asked", undefined);
  for (const [name, route] of Object.entries(ROUTES) as [keyof Handlers, Route][]) {
    registerRoute(app, name, { route, handler: handlers[name] as AnyHandler, desk });
  }
  for (const [path, methods] of methodsByPath()) {
    const others = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"].filter(
      (method) => !methods.includes(method),
    );
    app.route({
      method: others,
      url: urlOf(path),
      onRequest: async () => {
        const detail = `allowed: ${methods.join(", ")}`;
        throw new Refusal("method-not-allowed", { detail }, { allow: methods.join(", ") });
      },
      handler: () => undefined,
    });
  }
}

function registerRoute(
  app: FastifyInstance,
  name: string,
  { route, handler, desk }: { route: Route; handler: AnyHandler; desk: Desk },
): void {
  const { parameters, body } = route;
  const checkBody =
    body?.type === "application/json" ? checking(body.schema, "body") : () => undefined;
  const checkParameters = parametersChecker(parameters);
  const read = (request: FastifyRequest, reply: FastifyReply): Asked => {
    const peer = peerOf(request);
    desk.gate.meet(peer);
    if (desk.stopping.aborted)
      throw new Refusal("unavailable", { detail: "the service stops" }, { "retry-after": "2" });
    const token = desk.gate.admit(peer, route);
    const parts = checkParameters(request);
    checkBodyHeaders(request, body);
    if (body?.type === "application/json") holdRoom(request, reply, { desk, token, body });
    return { ...parts, token };
  };
  app.route({
    method: withHead(route.method),
    url: urlOf(route.path),
    bodyLimit: body?.bytesMax ?? 1,
    config: { operation: name },
    onRequest: (request, reply, done) => {
      try {
        request.asked = read(request, reply);
      } catch (error) {
        done(error as Error);
        return;
      }
      done();
    },
    handler: async (request, reply) => {
      const { token, path, query, headers } = request.asked as Asked;
      checkBody(request.body ?? {}, Number(request.headers["content-length"] ?? Infinity));
      const answer = await handler({
        path,
        query,
        headers,
        token: token as never,
        body: (request.body ?? {}) as never,
        source: request.raw as Readable,
        sourceBytes: Number(request.headers["content-length"] ?? 0),
        wantsEvents: wantsEvents(request, route),
        signal: () => goneSignal(reply, token, desk),
      });
      return send(request, reply, answer);
    },
  });
}

const NO_PARAMETERS = {
  type: "object",
  additionalProperties: false,
  required: [],
  properties: {},
} as const;

function parametersChecker(parameters: Route["parameters"] = {}) {
  const { path, query = NO_PARAMETERS, headers } = parameters;
  const checkPath = checking(path ?? NO_PARAMETERS, "path");
  const checkQuery = checking(query, "query");
  const checkHeaders = checking(headers ?? NO_PARAMETERS, "headers");
  return (request: FastifyRequest) => {
    const read = {
      path: request.params as Record<string, unknown>,
      query: withNumbers(parseQuery(request.raw.url ?? ""), query),
      headers:
        headers === undefined ? {} : withNumbers(pickHeaders(request.headers, headers), headers),
    };
    if (path !== undefined) checkPath(read.path, 0);
    checkQuery(read.query, 0);
    if (headers !== undefined) checkHeaders(read.headers, 0);
    return read as Omit<Asked, "token">;
  };
}

/** Before a byte of it is read: a body is of the right type, no larger than allowed, and bytes tell their length. */
function checkBodyHeaders({ headers }: FastifyRequest, body: Route["body"]): void {
  const isChunked = headers["transfer-encoding"] !== undefined;
  const lengthBytes = Number(headers["content-length"] ?? 0);
  const hasBody = isChunked || lengthBytes > 0;
  if (body === undefined) {
    if (hasBody) throw new Refusal("malformed", { detail: "no body is taken here" });
    return;
  }
  if (lengthBytes > body.bytesMax) {
    throw new Refusal("too-large", { detail: `at most ${body.bytesMax} bytes are taken here` });
  }
  const type = headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  const isCoded = !["identity", undefined].includes(headers["content-encoding"]);
  if (hasBody && (type !== body.type || isCoded))
    throw new Refusal("wrong-media", { detail: `${body.type} is taken here, not compressed` });
  const isBytes = body.type === "application/octet-stream";
  if (isBytes && (isChunked || headers["content-length"] === undefined))
    throw new Refusal("length-required");
}

/** Shorter bodies of JSON are not counted: all connections together hold no more than 160 MiB of them. */
const UNCOUNTED_BYTES_MAX = 16 * 1024;

/** Holds room for a long body of JSON until its answer is out. */
function holdRoom(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  {
    desk,
    token,
    body,
  }: { desk: Desk; token: TokenView | undefined; body: NonNullable<Route["body"]> },
): void {
  const isChunked = headers["transfer-encoding"] !== undefined;
  const bytes = isChunked ? body.bytesMax : Number(headers["content-length"] ?? 0);
  if (token === undefined || bytes <= UNCOUNTED_BYTES_MAX) return;
  const room = roomFor(desk, token, bytes);
  reply.raw.once("close", () => room[Symbol.dispose]());
}

function wantsEvents({ headers, method }: FastifyRequest, { answers }: Route): boolean {
  const hasEvents = answers[200]?.events !== undefined;
  return hasEvents && method === "GET" && (headers.accept ?? "").includes("text/event-stream");
}

/** Made once: a reason of each signal's own costs more than the signal. */
const GONE = new Error("nobody waits for the answer any more");

/** Aborts when the connection is gone before the answer is out, when the token is revoked, and when the service stops. */
function goneSignal(
  reply: FastifyReply,
  token: TokenView | undefined,
  { gate, stopping }: Desk,
): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort(GONE));
  if (reply.raw.destroyed) gone.abort(GONE);
  const valid = token === undefined ? [] : [gate.whileValid(token)];
  return AbortSignal.any([gone.signal, stopping, ...valid]);
}

function peerOf({ raw }: FastifyRequest): Peer {
  const { authorization } = raw.headers;
  return {
    address: raw.socket.remoteAddress,
    ...(authorization === undefined ? {} : { authorization }),
  };
}

function urlOf(path: string): string {
  return path.replaceAll(/\{([^}]+)\}/g, ":$1");
}

/** RFC 9110, section 9.1: whoever knows GET knows HEAD. */
function withHead(method: Route["method"]): string[] {
  return method === "GET" ? ["GET", "HEAD"] : [method];
}

function methodsByPath(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { method, path } of Object.values(ROUTES))
    found.set(path, [...(found.get(path) ?? []), ...withHead(method)]);
  return found;
}
