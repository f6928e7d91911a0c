import type { ProblemSlug } from "./problem.ts";
import type { Role } from "./token.ts";

/** A closed object schema of path parts, query keys or headers; their values are texts and whole numbers. */
type Parameters = {
  readonly type: "object";
  readonly additionalProperties: false;
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, object>>;
};

/** What a body is: JSON of a schema, or bytes. Longer than `bytesMax` is refused with 413, before it is read. */
type Body =
  | { readonly type: "application/json"; readonly schema: object; readonly bytesMax: number }
  | { readonly type: "application/octet-stream"; readonly bytesMax: number };

/** What an answer is; without a type it has no body. */
type Answer = {
  readonly says: string;
  readonly type?: "application/json" | "application/octet-stream" | "text/plain";
  /** Of JSON. */
  readonly schema?: object;
  /** Who accepts `text/event-stream` gets that instead, the JSON `data` of each event being of this schema. */
  readonly events?: object;
  readonly headers?: Readonly<Record<string, object>>;
};

/** One thing that can be asked of the service: what the API, the client and OpenAPI are made from. */
export type Route = {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Parts in braces are keys of `path`. */
  readonly path: string;
  /** Who may ask. `anyone`: no token is needed. Which jobs, leases and inputs they may touch is said in `summary`. */
  readonly roles: readonly Role[] | "anyone";
  /** One sentence. */
  readonly summary: string;
  readonly parameters?: {
    readonly path?: Parameters;
    readonly query?: Parameters;
    /** Names in lower case. Headers are never closed: others are passed over. */
    readonly headers?: Parameters;
  };
  readonly body?: Body;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Besides those that every route may give: see `EVERYWHERE`. */
  readonly problems: readonly ProblemSlug[];
};

/** Problems that any route may answer with. */
export const EVERYWHERE = [
  "malformed",
  "unauthenticated",
  "forbidden",
  "too-slow",
  "invalid",
  "too-many",
  "headers-too-large",
  "bug",
  "unavailable",
] as const satisfies readonly ProblemSlug[];
