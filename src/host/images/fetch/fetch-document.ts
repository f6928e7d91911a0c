import { retry } from "#lib/retry.ts";
import { answerProblem, declaredBytes } from "./answer.ts";
import { ask } from "./ask.ts";
import { fetchFailed, refused, Trouble } from "./fetch-faults.ts";
import { FETCH_LIMITS, type FetchLimits } from "./fetch-limits.ts";
import { paced } from "./paced.ts";
import { checkedUrl, type FetchRules } from "./url-rules.ts";

const TRIES = 3;

/**
 * A small document, a catalogue or its signature, whole. Tried three times where that may help. Throws image-refused for an address
 * against the rules and for a document longer than `bytesMax`; image-fetch-failed, with the server's `status` as evidence where it answered
 * otherwise; or the signal's reason.
 */
export async function fetchDocument(
  address: string,
  rules: FetchRules,
  { bytesMax, limits = FETCH_LIMITS }: { readonly bytesMax: number; readonly limits?: FetchLimits },
  signal: AbortSignal,
): Promise<Buffer> {
  const url = checkedUrl(address, rules);
  let tries = 0;
  const mayPass = (error: unknown) => {
    tries += 1;
    return error instanceof Trouble && tries < TRIES ? error.leastMs : undefined;
  };
  try {
    const once = () => fetchOnce(url, { rules, bytesMax, limits }, signal);
    return await retry(once, mayPass, limits.pauses, signal);
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    throw fetchFailed(`${url.href}: ${error.message}`, { cause: error });
  }
}

async function fetchOnce(
  url: URL,
  order: { readonly rules: FetchRules; readonly bytesMax: number; readonly limits: FetchLimits },
  signal: AbortSignal,
): Promise<Buffer> {
  const { rules, bytesMax, limits } = order;
  const { answerMs } = limits;
  const answer = await ask(url, { rules, headers: {}, answerMs }, signal);
  try {
    const problem = answerProblem(url, answer, [200]);
    if (problem !== undefined) throw problem;
    const tooLong = () => refused(`${url.href} is longer than ${bytesMax} bytes`);
    const declared = declaredBytes(answer);
    if (declared !== undefined && declared > bytesMax) throw tooLong();
    const pieces: Buffer[] = [];
    let bytes = 0;
    for await (const piece of paced(answer, limits)) {
      bytes += piece.length;
      if (bytes > bytesMax) throw tooLong();
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  } finally {
    answer.destroy();
  }
}
