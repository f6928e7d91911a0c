import { Fault } from "#job/fault.ts";

/** What is offered, or where, is not acceptable; asking again would give the same. */
export function refused(message: string, cause?: unknown): Fault {
  return new Fault("image-refused", message, { cause });
}

/** The bytes could not be had. `status` is what the server answered, where that was the trouble. */
export function fetchFailed(
  message: string,
  more: { readonly cause?: unknown; readonly status?: number } = {},
): Fault {
  return new Fault("image-fetch-failed", message, {
    cause: more.cause,
    ...(more.status === undefined ? {} : { evidence: { status: more.status } }),
  });
}

/** Something went wrong on the way that may go well the next time, `leastMs` from now on. */
export class Trouble extends Error {
  override readonly name = "Trouble";
  readonly leastMs: number;

  constructor(message: string, more: { readonly cause?: unknown; readonly leastMs?: number } = {}) {
    super(message, { cause: more.cause });
    this.leastMs = more.leastMs ?? 0;
  }
}

const FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/**
 * Does `work` and turns what the file system says of `what` into our faults: host-disk-full, or image-fetch-failed. An abort ends in the
 * signal's own reason.
 */
export async function inOurWords<T>(
  what: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    signal.throwIfAborted();
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    const { code, message, syscall } = error as NodeJS.ErrnoException;
    if (error instanceof Fault || syscall === undefined) throw error;
    if (code !== undefined && FULL.has(code))
      throw new Fault("host-disk-full", `no room for ${what}: free some space`, { cause: error });
    throw fetchFailed(`${what}: ${message}`, { cause: error });
  }
}
