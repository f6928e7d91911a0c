import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { LookupFunction } from "node:net";
import { Fault } from "#job/fault.ts";
import { deadline, untilAborted } from "#lib/deadline.ts";
import { noAnswerBecause } from "#lib/http-client.ts";
import { type Address, dialable } from "./addresses.ts";
import { fetchFailed, refused, Trouble } from "./fetch-faults.ts";
import { checkedUrl, type FetchRules } from "./url-rules.ts";

export type Question = {
  readonly rules: FetchRules;
  readonly headers: Readonly<Record<string, string>>;
  /** From the look-up of the name to the answer's headers, for each server that is asked. */
  readonly answerMs: number;
};

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
const REDIRECTS_MAX = 3;

/** Errors that stay: the certificate is wrong, the name does not exist. */
const LASTING =
  /^(CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_|ENOTFOUND)/;

/**
 * Asks for a URL that was checked, follows at most three redirects, each checked by the same rules, and returns the first answer that is none.
 * There are no credentials, no cookies and no connections that are kept. Its body must be read to the end or destroyed. Throws
 * image-refused, image-fetch-failed, `Trouble` where another try may help, or the signal's reason.
 */
export async function ask(
  url: URL,
  question: Question,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  let at = url;
  for (let redirects = 0; ; redirects += 1) {
    const answer = await askOnce(at, question, signal);
    const isRedirect = REDIRECTS.includes(answer.statusCode ?? 0);
    const { location } = answer.headers;
    if (!isRedirect || location === undefined) return answer;
    answer.destroy();
    if (redirects === REDIRECTS_MAX)
      throw refused(`${url.href} redirects more than ${REDIRECTS_MAX} times`);
    at = redirected(at, location, question.rules);
  }
}

function redirected(from: URL, location: string, rules: FetchRules): URL {
  try {
    return checkedUrl(location, rules, from);
  } catch (error) {
    throw refused(`${from.href} redirects: ${(error as Error).message}`, error);
  }
}

async function askOnce(
  url: URL,
  { rules, headers, answerMs }: Question,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  using limit = deadline(
    answerMs,
    () => new Trouble(`${url.host} did not answer within ${answerMs / 1000} s`),
  );
  const hurry = AbortSignal.any([signal, limit.signal]);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  try {
    const addresses = await untilAborted(hurry, dialable(url.hostname, rules));
    const request = httpsRequest(url, {
      // Node's own agent would keep the connection, or take one that was dialled under other rules.
      agent: false,
      headers: { "accept-encoding": "identity", "user-agent": "testbed", ...headers },
      lookup: only(addresses),
      signal,
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
      ...(rules.ca === undefined ? {} : { ca: rules.ca }),
    });
    request.on("error", reject);
    request.on("response", (answer) => {
      // Whoever reads hears of errors by reading; without a reader they are nobody's.
      answer.on("error", () => undefined);
      resolve(answer);
    });
    request.end();
    return await untilAborted(hurry, promise).catch((error: unknown) => {
      request.destroy();
      throw error;
    });
  } catch (error) {
    signal.throwIfAborted();
    throw inWords(url, error);
  }
}

function inWords(url: URL, error: unknown): unknown {
  if (error instanceof Fault || error instanceof Trouble) return error;
  const { code = "" } = error as NodeJS.ErrnoException;
  const message = `${url.host} ${noAnswerBecause(error)}`;
  if (LASTING.test(code)) return fetchFailed(message, { cause: error });
  return new Trouble(message, { cause: error });
}

/** Node asks for all addresses when it may try one after the other, and for one otherwise. */
function only(addresses: readonly Address[]): LookupFunction {
  return (_hostname, options, callback) => {
    const [first] = addresses;
    if (options.all === true) return callback(null, [...addresses]);
    callback(null, first?.address ?? "", first?.family);
  };
}
