import { isIP, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { connectFrugally } from "./frugal-socket.ts";
import { ConnectionLost, ConnectionRefused } from "./ssh-errors.ts";

/** A socket whose server has said that it speaks SSH; its first line is still to be read. */
export type Dialled = { readonly socket: Socket; readonly address: string };

export type DialOptions = {
  readonly address: string;
  readonly port: number;
  readonly connectMs: number;
  readonly bannerMs: number;
  readonly signal: AbortSignal;
  /** Called when TCP is through. */
  readonly onConnect?: () => void;
};

/** RFC 4253, 4.2 lets a server send other lines first; nobody needs more than this. */
const BANNER_BYTES_MAX = 8 * 1024;

/**
 * One try: connects and waits for an SSH banner. What came before the banner is thrown away. Throws `ConnectionRefused`,
 * `ConnectionLost` or the signal's reason; then no socket is left.
 */
export async function dial(options: DialOptions): Promise<Dialled> {
  const { address, port, signal } = options;
  signal.throwIfAborted();
  // Never a name: nothing that comes from outside may start a look-up.
  if (isIP(address) === 0) throw new ConnectionLost(`${JSON.stringify(address)} is no address`);
  const socket = connectFrugally({ host: address, port });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(signal.reason);
  const late = (what: string) => () => reject(new ConnectionLost(`${address} ${what}`));
  let timer = setTimeout(late("does not answer"), options.connectMs);
  let seen = Buffer.alloc(0);
  const onConnect = () => {
    clearTimeout(timer);
    timer = setTimeout(late("accepts connections but says nothing"), options.bannerMs);
    options.onConnect?.();
  };
  const onData = (piece: Buffer) => {
    seen = Buffer.concat([seen, piece]);
    const start = bannerStart(seen);
    if (start !== undefined) {
      socket.pause();
      socket.off("data", onData);
      socket.unshift(seen.subarray(start));
      resolve();
    } else if (seen.length > BANNER_BYTES_MAX) {
      reject(new ConnectionLost(`${address} sends something that is not SSH`));
    }
  };
  const onEnd = () => reject(new ConnectionLost(`${address} closed the connection at once`));
  socket.once("connect", onConnect).on("data", onData).once("end", onEnd).once("close", onEnd);
  // Stays for the life of the socket: an error with nobody listening would end the process.
  socket.on("error", (error: NodeJS.ErrnoException) => {
    const Kind = error.code === "ECONNREFUSED" ? ConnectionRefused : ConnectionLost;
    reject(new Kind(`${address}: ${error.message}`, { cause: error }));
  });
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await promise;
    return { socket, address };
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    socket.off("end", onEnd).off("close", onEnd);
  }
}

/** Where a complete line that begins with `SSH-` begins. */
function bannerStart(seen: Buffer): number | undefined {
  for (let at = 0; ; ) {
    const end = seen.indexOf(0x0a, at);
    if (end < 0 || end > BANNER_BYTES_MAX) return undefined;
    if (seen.subarray(at, at + 4).toString("latin1") === "SSH-") return at;
    at = end + 1;
  }
}

export type ProbeOptions = {
  /** The addresses to try, best first; asked again and again. */
  readonly addresses: (signal: AbortSignal) => Promise<readonly string[]>;
  readonly port: number;
  /** How long an accepted connection may take to its banner. */
  readonly bannerMs: number;
  readonly signal: AbortSignal;
  readonly onAddress: () => void;
  readonly onConnect: () => void;
  /** Told why a try failed, for the evidence. */
  readonly onFailure: (why: string) => void;
};

/** A new try this often: what a guest's readiness may be noticed late by. */
const TRY_EVERY_MS = 15;
/** A lost SYN is repeated after a second; a fresh try does not wait for that. */
const CONNECT_MS = 300;
const TRIES_AT_ONCE = 24;
const ADDRESSES_MAX = 8;
const ADDRESSES_EVERY_MS = 200;
/** While a server that accepted is making up its mind, others are tried no faster than this: a slow guest forks for each. */
const TRY_BESIDE_MS = 2000;

/**
 * Tries all addresses over and over until one answers with an SSH banner, and returns that connection. Ends only by
 * success or by the signal, with its reason; then nothing is left.
 */
export async function probe(options: ProbeOptions): Promise<Dialled> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const { promise, resolve, reject } = Promise.withResolvers<Dialled>();
  const state = { candidates: [] as readonly string[], tries: 0, speaking: 0, acceptedAtMs: 0 };
  const onAbort = () => reject(options.signal.reason);
  options.signal.addEventListener("abort", onAbort, { once: true });

  const attempt = async (address: string) => {
    let accepted = false;
    state.tries += 1;
    try {
      const dialled = await dial({
        address,
        port: options.port,
        connectMs: CONNECT_MS,
        bannerMs: options.bannerMs,
        signal,
        onConnect: () => {
          accepted = true;
          state.speaking += 1;
          state.acceptedAtMs = performance.now();
          options.onConnect();
        },
      });
      if (signal.aborted) dialled.socket.destroy();
      resolve(dialled);
    } catch (error) {
      if (!signal.aborted) options.onFailure((error as Error).message);
    } finally {
      state.tries -= 1;
      if (accepted) state.speaking -= 1;
    }
  };

  const work = Promise.all([
    refreshAddresses(options, signal, state),
    keepTrying(signal, state, attempt),
  ]);
  work.catch(reject);
  try {
    options.signal.throwIfAborted();
    return await promise;
  } finally {
    options.signal.removeEventListener("abort", onAbort);
    stop.abort();
  }
}

type ProbeState = {
  candidates: readonly string[];
  tries: number;
  speaking: number;
  acceptedAtMs: number;
};

async function refreshAddresses(
  options: ProbeOptions,
  signal: AbortSignal,
  state: ProbeState,
): Promise<void> {
  while (!signal.aborted) {
    const found = await options.addresses(signal).catch((error: Error) => {
      options.onFailure(error.message);
      return [];
    });
    state.candidates = found.filter((address) => isIP(address) !== 0).slice(0, ADDRESSES_MAX);
    if (state.candidates.length > 0) options.onAddress();
    await pause(ADDRESSES_EVERY_MS, signal);
  }
}

async function keepTrying(
  signal: AbortSignal,
  state: ProbeState,
  attempt: (address: string) => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    for (const address of state.candidates) {
      const isWaiting =
        state.speaking > 0 && performance.now() - state.acceptedAtMs < TRY_BESIDE_MS;
      if (!isWaiting && state.tries < TRIES_AT_ONCE) void attempt(address);
    }
    await pause(TRY_EVERY_MS, signal);
  }
}

/** A pause that ends early, without a word, when the signal aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
