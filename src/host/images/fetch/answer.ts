import type { IncomingMessage } from "node:http";
import { fetchFailed, refused, Trouble } from "./fetch-faults.ts";

/** What a server says when it may say something else a while later. */
const PASSING: readonly number[] = [408, 425, 429, 500, 502, 503, 504];
const RETRY_AFTER_SECONDS_MAX = 60;

/** What is wrong with the head of an answer that should have one of these statuses and the plain bytes; undefined when nothing is. */
export function answerProblem(
  url: URL,
  { statusCode: status = 0, headers }: IncomingMessage,
  statuses: readonly number[],
): Error | undefined {
  const encoding = headers["content-encoding"] ?? "identity";
  if (PASSING.includes(status)) {
    const seconds = Number(headers["retry-after"]);
    const leastMs = seconds > 0 ? Math.min(seconds, RETRY_AFTER_SECONDS_MAX) * 1000 : 0;
    return new Trouble(`the server answers ${status}`, { leastMs });
  }
  if (!statuses.includes(status)) return fetchFailed(`${url.href} answers ${status}`, { status });
  // Asked for plain bytes, it sends others: a few of them may unpack to very many.
  if (encoding.toLowerCase() !== "identity")
    return refused(
      `${url.href} is sent with Content-Encoding '${encoding}', which was not asked for`,
    );
  return undefined;
}

/** How long the server says that the body is. */
export function declaredBytes({ headers }: IncomingMessage): number | undefined {
  const text = headers["content-length"];
  return text === undefined ? undefined : Number(text);
}

/** Which bytes a 206 brings: `bytes 100-199/200` (RFC 9110, 14.4); undefined when it does not say, or something else. */
export function rangeOf({
  headers,
}: IncomingMessage): { readonly from: number; readonly total: number | undefined } | undefined {
  const match = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15}|\*)$/.exec(headers["content-range"] ?? "");
  if (match === null) return undefined;
  return { from: Number(match[1]), total: match[2] === "*" ? undefined : Number(match[2]) };
}
