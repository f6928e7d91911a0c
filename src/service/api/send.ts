import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Reply } from "./ask.ts";
import { eventText } from "./event-text.ts";
import { spanOf } from "./range.ts";
import { problemOf, type Refusal } from "./refusal.ts";

/** Sends what a handler answered. A slow reader makes its stream wait: one piece and the socket's buffer are all it costs. */
export function send(request: FastifyRequest, reply: FastifyReply, answer: Reply): FastifyReply {
  void reply.code(answer.status);
  if (answer.status === 204) return reply.headers(answer.headers ?? {}).send();
  if ("json" in answer) {
    return reply.type("application/json; charset=utf-8").send(JSON.stringify(answer.json));
  }
  if ("text" in answer) {
    return reply.type(answer.type ?? "text/plain; charset=utf-8").send(answer.text);
  }
  if ("events" in answer) {
    return reply
      .type("text/event-stream")
      .send(Readable.from(eventText(answer.events), { highWaterMark: 1 }));
  }
  return sendBytes(request, reply, answer);
}

function sendBytes(
  request: FastifyRequest,
  reply: FastifyReply,
  { sizeBytes, open }: Extract<Reply, { sizeBytes: number }>,
): FastifyReply {
  // A range is asked of GET alone (RFC 9110, section 14.2).
  const range = request.method === "GET" ? request.headers.range : undefined;
  const span = range === undefined ? { first: 0, last: sizeBytes - 1 } : spanOf(range, sizeBytes);
  const lengthBytes = span.last - span.first + 1;
  if (range !== undefined) {
    void reply.code(206).header("content-range", `bytes ${span.first}-${span.last}/${sizeBytes}`);
  }
  void reply
    .type("application/octet-stream")
    .header("accept-ranges", "bytes")
    .header("content-length", lengthBytes);
  const hasBody = request.method !== "HEAD" && lengthBytes > 0;
  return hasBody ? reply.send(open(span)) : reply.send();
}

/** Sends a problem document. A connection whose request was not read whole is closed: what follows is no request. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  refusal: Refusal,
): FastifyReply {
  const problem = problemOf(refusal);
  if (!request.raw.complete) void reply.header("connection", "close");
  return reply
    .code(problem["status"] as number)
    .headers(refusal.headers)
    .type("application/problem+json")
    .send(JSON.stringify(problem));
}
