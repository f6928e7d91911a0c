import { isIPv4 } from "node:net";
import type { Role } from "#protocol/token.ts";
import type { BodyBytes } from "./body-budget.ts";
import type { Allowance } from "./tally.ts";

/** How often somebody may ask: so many requests at once, and so many a second on average. */
export type Rate = { readonly atOnce: number; readonly perSecond: number };

/** Bounds on what the API takes from its peers. */
export type Limits = {
  /** Requests of one address, before anything else is looked at; an IPv6 address stands for its /64. */
  readonly address: Rate;
  /** Requests of one address that had no valid token. */
  readonly unauthenticated: Rate;
  /** Requests of one token. */
  readonly token: Readonly<Record<Role, Rate>>;
  /** Long polls and event streams of one token at once. */
  readonly waitingMax: number;
  /** Connections of one listener at once. */
  readonly connectionsMax: number;
  /** A request's headers must be here after so long. */
  readonly headersMs: number;
  /** A request must be here, body included, after so long. */
  readonly requestMs: number;
  /** A connection on which nothing moves, in either direction, is closed after so long; longer than the longest poll. */
  readonly silenceMs: number;
  /** A connection without a request is closed after so long. */
  readonly idleMs: number;
  readonly headerBytes: number;
  /** The longest input or artifact. */
  readonly contentBytes: number;
  /** The longest log. */
  readonly logBytes: number;
  /** All logs of one attempt. */
  readonly attemptLogs: Allowance;
  /** All artifacts of one attempt, its screenshot among them. */
  readonly attemptArtifacts: Allowance;
  /** Jobs that one submitter may have in the queue. */
  readonly queuedMax: number;
  /** Submits of one submitter, whichever of its tokens it takes; those that are refused count too. */
  readonly submits: Rate;
  /** All inputs of one submitter, those that are on their way included. */
  readonly inputBytes: number;
  /** Bodies of JSON and of logs that are in memory at once. */
  readonly bodies: BodyBytes;
};

/** What holds unless the caller says otherwise. */
export const LIMITS: Limits = {
  // A lab may sit behind one address: a thousand hosts that renew, log and report stay below.
  address: { atOnce: 4000, perSecond: 2000 },
  unauthenticated: { atOnce: 50, perSecond: 5 },
  token: {
    admin: { atOnce: 2000, perSecond: 1000 },
    submitter: { atOnce: 2000, perSecond: 1000 },
    viewer: { atOnce: 1000, perSecond: 200 },
    host: { atOnce: 2000, perSecond: 1000 },
  },
  waitingMax: 500,
  connectionsMax: 10_000,
  headersMs: 10_000,
  // 64 MiB, the longest body, at 220 KiB a second.
  requestMs: 300_000,
  silenceMs: 120_000,
  idleMs: 75_000,
  headerBytes: 16 * 1024,
  contentBytes: 64 * 2 ** 30,
  logBytes: 2 ** 30,
  attemptLogs: { bytesMax: 4 * 2 ** 30, countMax: 102 },
  // A host brings home 10,000 files and 8 GiB at most, and a screenshot.
  attemptArtifacts: { bytesMax: 9 * 2 ** 30, countMax: 10_001 },
  queuedMax: 200_000,
  submits: { atOnce: 5000, perSecond: 500 },
  inputBytes: 256 * 2 ** 30,
  bodies: { all: 256 * 2 ** 20, ofOne: 32 * 2 ** 20 },
};

/** Keys that are remembered; when there are more, those that have all their tokens back are forgotten. */
const KEYS_MAX = 20_000;

/** Token buckets: each key may take one unless it took too many of late. */
export class Buckets {
  readonly #buckets = new Map<string, { left: number; atMs: number }>();

  /** Milliseconds until `key` may ask again; 0: now, and that was counted. */
  take(key: string, { atOnce, perSecond }: Rate, nowMs = performance.now()): number {
    const bucket = this.#buckets.get(key) ?? { left: atOnce, atMs: nowMs };
    bucket.left = Math.min(atOnce, bucket.left + ((nowMs - bucket.atMs) / 1000) * perSecond);
    bucket.atMs = nowMs;
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > KEYS_MAX) this.#forget(nowMs);
    if (bucket.left < 1) return Math.ceil(((1 - bucket.left) / perSecond) * 1000);
    bucket.left -= 1;
    return 0;
  }

  /** Whoever was silent for a minute is forgotten; were that nobody, everybody is: a flood from many addresses. */
  #forget(nowMs: number): void {
    for (const [key, { atMs }] of this.#buckets) {
      if (nowMs - atMs > 60_000) this.#buckets.delete(key);
    }
    if (this.#buckets.size > KEYS_MAX) this.#buckets.clear();
  }
}

/** Whom an address stands for: an IPv6 address for its /64, which is what one subscriber is given (RFC 6177). */
export function subscriberOf(address: string): string {
  const mapped = address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
  if (isIPv4(mapped)) return mapped;
  const [head = "", tail] = (address.split("%")[0] ?? "").split("::");
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - groups.length - rest.length;
  return [...groups, ...Array<string>(zeros).fill("0"), ...rest].slice(0, 4).join(":");
}
