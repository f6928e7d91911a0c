import type { Readable } from "node:stream";
import { Trouble } from "./fetch-faults.ts";

/**
 * The pieces of a body as they come, at the reader's own pace. In each `windowMs` that is spent waiting for the server, not for the reader,
 * at least `windowBytes` have to come. Throws `Trouble` for a body that is too slow or breaks off.
 */
export async function* paced(
  body: Readable,
  { windowMs, windowBytes }: { readonly windowMs: number; readonly windowBytes: number },
): AsyncGenerator<Buffer, void, undefined> {
  const pieces = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let waitedMs = 0;
  let bytes = 0;
  const next = async () => {
    const begunMs = performance.now();
    const look = () => {
      if (bytes < windowBytes) {
        body.destroy(new Trouble(`sent ${bytes} bytes in ${windowMs / 1000} s`));
        return;
      }
      waitedMs -= windowMs;
      bytes = 0;
      timer = setTimeout(look, windowMs);
    };
    let timer = setTimeout(look, Math.max(0, windowMs - waitedMs));
    try {
      return await pieces.next();
    } finally {
      clearTimeout(timer);
      waitedMs += performance.now() - begunMs;
    }
  };
  try {
    for (;;) {
      const { done, value } = await next().catch((error: unknown) => {
        if (error instanceof Trouble) throw error;
        throw new Trouble(`broke off: ${(error as Error).message}`, { cause: error });
      });
      if (done === true) return;
      bytes += value.length;
      yield value;
    }
  } finally {
    body.destroy();
  }
}
