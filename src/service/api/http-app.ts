import type { IncomingMessage, ServerResponse } from "node:http";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { PROTOCOL_VERSION } from "#protocol/version.ts";
import { adminHandlers, healthHandlers } from "./admin-handlers.ts";
import { historyHandlers } from "./history-handlers.ts";
import { inputHandlers } from "./input-handlers.ts";
import { jobHandlers } from "./job-handlers.ts";
import { leaseHandlers } from "./lease-handlers.ts";
import { parseJson } from "./read-request.ts";
import { Refusal, refusalOf } from "./refusal.ts";
import { registerRoutes } from "./register.ts";
import { isSlow, isTelling } from "./remarks.ts";
import type { Rooms } from "./rooms.ts";
import { sendProblem } from "./send.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Of the table of routes; missing on what is answered with 405. */
    operation?: string;
  }
}

/** What answers requests, on whatever connection they come. */
export type HttpApp = AsyncDisposable & {
  readonly listener: (request: IncomingMessage, response: ServerResponse) => void;
};

/** The API over these rooms. `stopping` ends what waits. */
export async function openHttpApp(rooms: Rooms, stopping: AbortSignal): Promise<HttpApp> {
  const { remarks } = rooms;
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 128 },
    frameworkErrors: (error, request, reply) => refuse(error, request, reply),
  });
  const refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const refusal = refusalOf(error);
    // A client that left is nobody's fault, and hears nothing.
    if (refusal.slug === "bug" && !request.raw.destroyed) remarks.onBug(error);
    if (isTelling(refusal.slug))
      remarks.onRefused?.({
        operation: operationOf(request),
        problem: refusal.slug,
        detail: refusal.more.detail,
        address: request.raw.socket.remoteAddress,
      });
    return sendProblem(request, reply, refusal);
  };
  prepare(app, rooms, stopping);
  app.setErrorHandler((error, request, reply) => refuse(error, request, reply));
  app.setNotFoundHandler((request, reply) => {
    return sendProblem(request, reply, noSuchPath(request.url));
  });
  const handlers = {
    ...jobHandlers(rooms),
    ...historyHandlers(rooms),
    ...inputHandlers(rooms),
    ...leaseHandlers(rooms),
    ...adminHandlers(rooms),
    ...healthHandlers(rooms),
  };
  registerRoutes(app, handlers, { gate: rooms.gate, bodies: rooms.bodies, stopping });
  await app.ready();
  return {
    listener: app.routing,
    [Symbol.asyncDispose]: () => app.close(),
  };
}

/** Who asks in another version of the protocol is told so: it is not the path that is wrong. */
function noSuchPath(url: string): Refusal {
  const asked = /^\/v([0-9]{1,4})\//.exec(url)?.[1];
  if (asked === undefined || Number(asked) === PROTOCOL_VERSION)
    return new Refusal("not-found", { detail: "no such path; /openapi.json lists them all" });
  const older = Number(asked) > PROTOCOL_VERSION ? "this service" : "whoever asks";
  const detail = `it speaks version ${PROTOCOL_VERSION} and was asked in version ${asked}: upgrade ${older}`;
  return new Refusal("other-version", { detail });
}

/** Of the table of routes; `none` where there is no route. */
function operationOf({ routeOptions }: FastifyRequest): string {
  return routeOptions.config.operation ?? "none";
}

const ON_EVERY_ANSWER = { "x-content-type-options": "nosniff", "cache-control": "no-store" };

function prepare(app: FastifyInstance, { metrics, remarks }: Rooms, stopping: AbortSignal): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_, body, done) => {
    try {
      done(null, parseJson(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  app.addContentTypeParser("application/octet-stream", (_, __, done) => done(null));
  app.addHook("onRequest", (_, reply, done) => {
    void reply.headers(ON_EVERY_ANSWER);
    if (stopping.aborted) void reply.header("connection", "close");
    done();
  });
  app.addHook("onResponse", (request, reply, done) => {
    const operation = operationOf(request);
    const seconds = reply.elapsedTime / 1000;
    metrics.count(operation, reply.statusCode, seconds);
    if (isSlow(operation, seconds)) remarks.onSlow?.(operation, seconds);
    done();
  });
}
