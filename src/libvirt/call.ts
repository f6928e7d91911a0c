import { decode, encode } from "./codec.ts";
import { LibvirtTimeoutError } from "./error.ts";
import type { Procedure } from "./protocol.ts";

/** setTimeout takes a longer time for none at all. */
const TIMER_MS_MAX = 0x7fff_ffff;

/** What every call takes. */
export type CallOptions = {
  /** Gives the call up; the promise rejects with the signal's reason. libvirt may still do what it was asked to. */
  readonly signal?: AbortSignal | undefined;
  /** Deadline for the whole call, the wait for a connection and a free slot included. */
  readonly timeoutMs?: number | undefined;
};

/** What is asked. */
export type Order<A, R> = { readonly procedure: Procedure<A, R>; readonly args: A };

/** When a call ends at the latest, counted from its very beginning. */
export type Deadline = {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  /** Monotonic milliseconds, as `performance.now()` counts them. */
  readonly atMs: number;
};

/** The deadline of something that begins now. */
export function deadlineOf(options: CallOptions | undefined, timeoutMsDefault: number): Deadline {
  const timeoutMs = options?.timeoutMs ?? timeoutMsDefault;
  return { signal: options?.signal, timeoutMs, atMs: performance.now() + timeoutMs };
}

function msLeft(atMs: number): number {
  return Math.min(Math.max(0, atMs - performance.now()), TIMER_MS_MAX);
}

/**
 * Settles as `promise` does, or rejects at the deadline with what `late` makes, or with the signal's reason.
 */
export async function within<T>(
  promise: Promise<T>,
  { signal, atMs }: Deadline,
  late: () => Error,
): Promise<T> {
  signal?.throwIfAborted();
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal?.reason);
  const timer = setTimeout(() => reject(late()), msLeft(atMs));
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, ended]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/**
 * One call from its making to its end. It ends once: by an answer, a failure, its deadline or its signal. After that a
 * late answer is swallowed; the slot that it takes is the link's business.
 */
export class Call<A, R> {
  readonly procedure: Procedure<A, R>;
  readonly payload: Buffer;
  readonly result: Promise<R>;
  /** Set when it goes on the wire: from then on libvirt may do it. */
  isSent = false;
  #isOver = false;
  readonly #settle: PromiseWithResolvers<R>;
  readonly #release: () => void;

  /** `onGivenUp` is called when the deadline or the signal ends the call. Throws XdrError when `args` cannot be written. */
  constructor(
    { procedure, args }: Order<A, R>,
    { signal, timeoutMs, atMs }: Deadline,
    onGivenUp: () => void,
  ) {
    this.procedure = procedure;
    this.payload = encode(procedure.takes, args);
    this.#settle = Promise.withResolvers();
    this.result = this.#settle.promise;
    const giveUp = (reason: unknown) => {
      if (this.fail(reason)) onGivenUp();
    };
    const timer = setTimeout(
      () => giveUp(new LibvirtTimeoutError(procedure.name, timeoutMs, this.isSent)),
      msLeft(atMs),
    );
    const onAbort = () => giveUp(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#release = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The reply's payload, as a value. Throws XdrError when it is not what the procedure gives. */
  read(payload: Buffer): R {
    return decode(this.procedure.gives, payload);
  }

  succeed(value: R): void {
    if (this.#end()) this.#settle.resolve(value);
  }

  /** True when this was the end of the call, false when it had ended before. */
  fail(reason: unknown): boolean {
    const isEnd = this.#end();
    if (isEnd) this.#settle.reject(reason);
    return isEnd;
  }

  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#release();
    return true;
  }
}
