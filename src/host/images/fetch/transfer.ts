import type { IncomingMessage } from "node:http";
import { retry } from "#lib/retry.ts";
import { answerProblem, declaredBytes, rangeOf } from "./answer.ts";
import { ask } from "./ask.ts";
import { fetchFailed, refused, Trouble } from "./fetch-faults.ts";
import type { FetchLimits } from "./fetch-limits.ts";
import { paced } from "./paced.ts";
import type { PartFile } from "./part-file.ts";
import type { FetchRules } from "./url-rules.ts";
import { rememberedValidator, rememberValidator } from "./validators.ts";

export type Transfer = {
  readonly url: URL;
  /** How long the file is when it is whole. */
  readonly bytes: number;
  readonly rules: FetchRules;
  readonly limits: FetchLimits;
  readonly onPiece: () => void;
};

/**
 * Fetches what a part still lacks, in as many requests as it takes: each asks for the rest only. Ends after `limits.tries` that bring
 * nothing new, so at the latest after `bytes / progressBytes` times as many. What has come stays in the part. Throws image-refused,
 * image-fetch-failed, what writing throws, or the signal's reason.
 */
export async function transfer(part: PartFile, order: Transfer, signal: AbortSignal) {
  const { limits, url, bytes } = order;
  let most = part.bytes;
  let failures = 0;
  const mayPass = (error: unknown) => {
    if (!(error instanceof Trouble)) return undefined;
    if (part.bytes >= most + limits.progressBytes) {
      most = part.bytes;
      failures = 0;
    }
    failures += 1;
    return failures < limits.tries ? error.leastMs : undefined;
  };
  const work = async () => {
    if (part.bytes < bytes) await transferOnce(part, order, signal);
  };
  try {
    await retry(work, mayPass, limits.pauses, signal);
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    throw fetchFailed(
      `${url.href}: ${error.message}. ${part.bytes} of ${bytes} bytes are here; the next try asks for the rest`,
      { cause: error },
    );
  }
}

async function transferOnce(
  part: PartFile,
  { url, bytes, rules, limits, onPiece }: Transfer,
  signal: AbortSignal,
): Promise<void> {
  const headers = part.bytes === 0 ? {} : await rangeHeaders(part, url);
  const answer = await ask(url, { rules, headers, answerMs: limits.answerMs }, signal);
  try {
    await takeHead(part, answer, { url, bytes });
    for await (const piece of paced(answer, limits)) {
      if (part.bytes + piece.length > bytes) {
        await part.empty();
        throw refused(`${url.href} is longer than the ${bytes} bytes that were said`);
      }
      await part.append(piece);
      onPiece();
    }
  } finally {
    answer.destroy();
  }
  if (part.bytes < bytes) throw new Trouble(`ends after ${part.bytes} of ${bytes} bytes`);
}

async function rangeHeaders(part: PartFile, url: URL): Promise<Record<string, string>> {
  const ifRange = await rememberedValidator(part.path, url);
  return {
    range: `bytes=${part.bytes}-`,
    ...(ifRange === undefined ? {} : { "if-range": ifRange }),
  };
}

/** Makes the part ready for the answer's body, or throws. */
async function takeHead(
  part: PartFile,
  answer: IncomingMessage,
  { url, bytes }: { readonly url: URL; readonly bytes: number },
): Promise<void> {
  const { statusCode, headers } = answer;
  const wasRange = part.bytes > 0;
  if (wasRange && statusCode === 416) {
    const had = part.bytes;
    await part.empty();
    throw new Trouble(`has nothing from byte ${had} on`);
  }
  const problem = answerProblem(url, answer, wasRange ? [200, 206] : [200]);
  if (problem !== undefined) throw problem;
  const range = rangeOf(answer);
  const total = statusCode === 200 ? declaredBytes(answer) : range?.total;
  if (total !== undefined && total !== bytes) {
    await part.empty();
    throw refused(`${url.href} has ${total} bytes, not the ${bytes} that were said`);
  }
  if (statusCode === 200) {
    if (wasRange) await part.empty();
    return await rememberValidator(part.path, url, headers);
  }
  if (range?.from === part.bytes) {
    part.beginPiece();
    return;
  }
  const asked = part.bytes;
  await part.empty();
  const sent = range === undefined ? "does not say which" : `begins at ${range.from}`;
  throw new Trouble(`sends other bytes than those from ${asked} on: it ${sent}`);
}
