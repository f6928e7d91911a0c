import { hash, timingSafeEqual } from "node:crypto";
import { isLoopback } from "#lib/listen-address.ts";
import type { Route } from "#protocol/route.ts";
import type { TokenView } from "#protocol/token.ts";
import type { Store } from "#service/ports.ts";
import { Buckets, type Limits, subscriberOf } from "./limits.ts";
import { Refusal } from "./refusal.ts";

/** Where a request comes from. Without an address it came through the Unix socket. */
export type Peer = { readonly address: string | undefined; readonly authorization?: string };

/** Who the local secret stands for. */
const LOCAL: TokenView = {
  id: "00000000",
  name: "local",
  role: "admin",
  createdAt: "1970-01-01T00:00:00.000Z",
};

const BEARER = /^Bearer +(testbed_[0-9A-Za-z_-]{43})$/i;

/** Finds who asks, and whether they may. */
export class Gate {
  readonly #store: Pick<Store, "tokenOf">;
  readonly #limits: Limits;
  readonly #localHash: Buffer;
  readonly #buckets = new Buckets();
  readonly #waiting = new Map<string, number>();
  /** One for each token that waited or streamed since the start. */
  readonly #revoking = new Map<string, AbortController>();

  /** `localHash` is of the secret that makes an admin of whoever asks with it through the Unix socket. */
  constructor(store: Pick<Store, "tokenOf">, limits: Limits, localHash: string) {
    this.#store = store;
    this.#limits = limits;
    this.#localHash = Buffer.from(localHash);
  }

  /** Long polls and streams that are open now. */
  get waits(): number {
    return [...this.#waiting.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Refuses an address that asks too often. */
  meet({ address }: Peer): void {
    if (address === undefined || isLoopback(address)) return;
    this.#count(`address ${subscriberOf(address)}`, this.#limits.address);
  }

  /** Who asks, if the route is theirs; else throws `Refusal`. */
  admit(peer: Peer, route: Route): TokenView | undefined {
    if (route.roles === "anyone") return undefined;
    const token = this.#tokenOf(peer);
    if (token === undefined) {
      this.#count(
        `unauthenticated ${peer.address === undefined ? "" : subscriberOf(peer.address)}`,
        this.#limits.unauthenticated,
      );
      // RFC 6750, section 3.
      throw new Refusal("unauthenticated", {}, { "www-authenticate": 'Bearer realm="testbed"' });
    }
    this.#count(`token ${token.id}`, this.#limits.token[token.role]);
    if (!route.roles.includes(token.role)) {
      const detail = `the token's role is ${token.role}; this is for ${route.roles.join(", ")}`;
      throw new Refusal("forbidden", { detail });
    }
    return token;
  }

  /** Counts a submit of somebody; refuses one too many. */
  submit({ name }: TokenView): void {
    this.#count(`submits ${name}`, this.#limits.submits);
  }

  /** Aborts when the token is revoked. */
  whileValid({ id }: TokenView): AbortSignal {
    const known = this.#revoking.get(id) ?? new AbortController();
    this.#revoking.set(id, known);
    return known.signal;
  }

  /** Ends what waits or streams for a token that was revoked. */
  revoked(id: string): void {
    this.#revoking.get(id)?.abort(new Error("the token was revoked"));
    this.#revoking.delete(id);
  }

  /** Counts a long poll or stream of a token until `gone` aborts, which it must; refuses one too many. */
  wait({ id }: TokenView, gone: AbortSignal): void {
    const count = this.#waiting.get(id) ?? 0;
    if (count >= this.#limits.waitingMax) {
      const detail = `${count} long polls and streams of this token are open`;
      throw new Refusal("too-many", { detail }, { "retry-after": "5" });
    }
    if (gone.aborted) return;
    this.#waiting.set(id, count + 1);
    const end = () => {
      const left = (this.#waiting.get(id) ?? 1) - 1;
      if (left === 0) this.#waiting.delete(id);
      else this.#waiting.set(id, left);
    };
    gone.addEventListener("abort", end, { once: true });
  }

  #tokenOf({ address, authorization = "" }: Peer): TokenView | undefined {
    const secret = BEARER.exec(authorization)?.[1];
    if (secret === undefined) return undefined;
    const kept = hashOf(secret);
    const isLocal = address === undefined && timingSafeEqual(Buffer.from(kept), this.#localHash);
    // A lookup by hash tells by its time at most how the hash begins, which nobody can choose.
    return isLocal ? LOCAL : this.#store.tokenOf(kept);
  }

  #count(key: string, rate: Limits["address"]): void {
    const waitMs = this.#buckets.take(key, rate);
    if (waitMs > 0)
      throw new Refusal("too-many", {}, { "retry-after": String(Math.ceil(waitMs / 1000)) });
  }
}

/** What is kept of a secret: its SHA-256, as 64 hexadecimal digits. The secret is random, so no salt is needed. */
export function hashOf(secret: string): string {
  return hash("sha256", secret);
}
