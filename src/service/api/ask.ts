import type { Readable } from "node:stream";
import type { Static } from "typebox";
import type { ROUTES } from "#protocol/routes.ts";
import type { TokenView } from "#protocol/token.ts";
import type { Span } from "#service/file-ports.ts";

/** An operation of the API, as the table of routes names it. */
type Operation = keyof typeof ROUTES;

type Nothing = Readonly<Record<never, never>>;

type Part<R, K extends string> = R extends { parameters: infer P }
  ? K extends keyof P
    ? P[K] extends object
      ? Static<P[K]>
      : Nothing
    : Nothing
  : Nothing;

type BodyOf<R> = R extends { body: { schema: infer S extends object } } ? Static<S> : undefined;

type TokenOf<R> = R extends { roles: "anyone" } ? undefined : TokenView;

/** A request that passed its schemas, from somebody whose role allows it. */
export type Ask<R> = {
  /** Who asks. */
  readonly token: TokenOf<R>;
  readonly path: Part<R, "path">;
  readonly query: Part<R, "query">;
  readonly headers: Part<R, "headers">;
  /** Of JSON; without any it is `{}`. */
  readonly body: BodyOf<R>;
  /** A body of bytes, unread, and how long it says it is. */
  readonly source: Readable;
  readonly sourceBytes: number;
  /** Whether server-sent events are wanted instead. */
  readonly wantsEvents: boolean;
  /** Aborts when nobody waits for the answer any more, and when the service stops. */
  readonly signal: () => AbortSignal;
};

/** A server-sent event; without data it is a comment that keeps the connection alive. */
export type ServerEvent = { readonly id: number | string; readonly data: unknown } | "alive";

/** What a request is answered with. */
export type Reply =
  | { readonly status: 200 | 201; readonly json: unknown }
  | { readonly status: 200; readonly text: string; readonly type?: string }
  | { readonly status: 204; readonly headers?: Readonly<Record<string, string>> }
  | {
      readonly status: 200;
      /** Length of the whole, and what opens a part of it. */
      readonly sizeBytes: number;
      readonly open: (span: Span) => Readable;
    }
  | { readonly status: 200; readonly events: AsyncIterable<ServerEvent> };

/** What answers an operation; it throws `Refusal` to refuse. */
type Handler<R> = (ask: Ask<R>) => Promise<Reply>;

/** What answers some operations. */
export type HandlersOf<K extends Operation> = { readonly [O in K]: Handler<(typeof ROUTES)[O]> };

/** What answers all operations. */
export type Handlers = HandlersOf<Operation>;
