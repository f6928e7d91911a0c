import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from "node:http";
import { request as httpsRequest, Agent as TlsAgent } from "node:https";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** Where a server is: an origin (`https://jobs.example:8420`), or a Unix socket. */
export type HttpTarget = {
  /** Its path, if it has one, goes before each request's. */
  readonly url: URL;
  readonly socketPath?: string;
  /** Certificates to trust instead of the system's, PEM. */
  readonly ca?: string;
};

/** A body whose length is told before it: text, bytes, or a stream of so many bytes. */
export type HttpBody =
  | string
  | Uint8Array
  | { readonly bytes: number; readonly open: () => Readable };

export type HttpRequest = {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HttpBody;
  /** From the connection's start to the answer's headers; a body on its way counts as life. */
  readonly answerMs: number;
  readonly signal: AbortSignal;
};

export type HttpAnswer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Must be read to its end or destroyed. It fails when nothing comes for `SILENCE_MS`. */
  readonly body: IncomingMessage;
};

/** The server could not be asked, or did not answer: whether it did what was asked of it nobody knows. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

/** Servers of ours say something on every stream at least every 15 s. */
const SILENCE_MS = 60_000;

/**
 * Connections at once; what is asked beyond them waits here. A daemon has three questions open for each of its 64 machines, and a
 * service holds one of them for a minute: with fewer connections the others would wait for it.
 */
const SOCKETS_MAX = 256;

/**
 * Asks one server, over connections that are kept. Node's own client: undici takes 29 MB more memory, which a daemon that
 * runs for months on small hosts has better uses for. Disposing closes the connections.
 */
export class HttpClient implements Disposable {
  readonly #target: HttpTarget;
  readonly #agent: Agent;

  constructor(target: HttpTarget) {
    this.#target = target;
    const options = { keepAlive: true, maxSockets: SOCKETS_MAX, scheduling: "lifo" } as const;
    this.#agent =
      target.url.protocol === "https:"
        ? new TlsAgent({ ...options, ...(target.ca === undefined ? {} : { ca: target.ca }) })
        : new Agent(options);
  }

  /** One request. Throws `NoAnswer`, or the signal's reason. Status codes are the caller's business. */
  async ask(request: HttpRequest): Promise<HttpAnswer> {
    request.signal.throwIfAborted();
    for (;;) {
      const asking = this.#open(request);
      try {
        return await answerTo(asking, request);
      } catch (error) {
        asking.destroy();
        request.signal.throwIfAborted();
        // A kept connection may end just as it is used again; the server has seen nothing of the request then.
        if (asking.reusedSocket && (error as NodeJS.ErrnoException).code === "ECONNRESET") continue;
        throw new NoAnswer(`${this.#where()} ${noAnswerBecause(error)}`, { cause: error });
      }
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  #open({ method, path, headers, body }: HttpRequest): ClientRequest {
    const { url, socketPath } = this.#target;
    const length = lengthOf(body);
    const options = {
      agent: this.#agent,
      method,
      path: `${url.pathname.replace(/\/$/, "")}${path}`,
      headers: { ...headers, ...(length === undefined ? {} : { "content-length": length }) },
    };
    if (socketPath !== undefined) return httpRequest({ ...options, socketPath });
    return (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options);
  }

  #where(): string {
    return this.#target.socketPath ?? this.#target.url.origin;
  }
}

async function answerTo(
  asking: ClientRequest,
  { body, answerMs, signal }: HttpRequest,
): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  asking.on("response", (answer) => {
    asking.setTimeout(SILENCE_MS);
    // Whoever reads hears of errors by reading; without a reader they are nobody's.
    answer.on("error", () => undefined);
    resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer });
  });
  asking.on("error", reject);
  asking.on("timeout", () => asking.destroy(new Error("said nothing for too long")));
  asking.setTimeout(answerMs);
  const onAbort = () => asking.destroy(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  asking.on("close", () => signal.removeEventListener("abort", onAbort));
  if (body !== undefined && typeof body === "object" && "open" in body) {
    const { bytes } = body;
    // An answer may come before all is sent, which ends the stream early and is no error.
    pipeline(body.open(), (pieces) => inFull(pieces, bytes), asking).catch(reject);
  } else {
    asking.end(body);
  }
  return await promise;
}

/** A file that became shorter since it was measured would leave the server waiting for the rest. */
async function* inFull(pieces: AsyncIterable<Uint8Array>, bytes: number) {
  let sent = 0;
  for await (const piece of pieces) {
    sent += piece.length;
    yield piece;
  }
  if (sent !== bytes) throw new Error(`the body has ${sent} bytes and not ${bytes}`);
}

function lengthOf(body: HttpBody | undefined): number | undefined {
  if (body === undefined) return undefined;
  if (typeof body === "string") return Buffer.byteLength(body);
  return "open" in body ? body.bytes : body.byteLength;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refuses connections: is the server running?",
  ENOENT: "is not there: is the server running?",
  EACCES: "may not be used by this user",
  ENOTFOUND: "is a name that nobody knows",
  EAI_AGAIN: "is a name that cannot be looked up now",
  ECONNRESET: "closed the connection",
  EPIPE: "closed the connection",
  EHOSTUNREACH: "cannot be reached",
  ENETUNREACH: "cannot be reached: this machine has no way there",
  ETIMEDOUT: "does not answer",
  DEPTH_ZERO_SELF_SIGNED_CERT: "shows a certificate of its own making; name it as the one to trust",
  SELF_SIGNED_CERT_IN_CHAIN: "shows a certificate whose authority is not trusted here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "shows a certificate whose authority is not trusted here",
  CERT_HAS_EXPIRED: "shows a certificate that has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "shows a certificate for another name",
};

/** Why a server could not be asked or did not answer, as a predicate for people. */
export function noAnswerBecause(error: unknown): string {
  const { code = "", message } = error as NodeJS.ErrnoException;
  const known = REASONS[code];
  return known === undefined ? `does not answer: ${message}` : `${known} (${code})`;
}
