import type { Socket } from "node:net";
import { PROBLEMS, type ProblemSlug } from "#protocol/problem.ts";
import { problemOf, Refusal } from "./refusal.ts";

/** What Node says of a request that never became one. */
const OF_NODE: Readonly<Record<string, ProblemSlug>> = {
  ERR_HTTP_REQUEST_TIMEOUT: "too-slow",
  HPE_HEADER_OVERFLOW: "headers-too-large",
};

/** Answers what could not be read as a request with a problem document, and closes the connection. */
export function answerBadClient(
  error: Error & { code?: string },
  socket: Socket & { _httpMessage?: { _headerSent: boolean } | null },
): void {
  // As Node's own listener does: not into an answer that has begun.
  const hasBegun = socket._httpMessage?._headerSent === true;
  if (error.code === "ECONNRESET" || !socket.writable || hasBegun) {
    socket.destroy();
    return;
  }
  const slug = OF_NODE[error.code ?? ""] ?? "malformed";
  const text = JSON.stringify(problemOf(new Refusal(slug)));
  socket.end(
    [
      `HTTP/1.1 ${PROBLEMS[slug].status} ${slug}`,
      "Content-Type: application/problem+json",
      `Content-Length: ${Buffer.byteLength(text)}`,
      "Connection: close",
      "",
      text,
    ].join("\r\n"),
    () => socket.destroy(),
  );
}
