import { PROBLEMS, type ProblemSlug } from "#protocol/problem.ts";
import { FilesError } from "#service/file-ports.ts";
import { StoreError } from "#service/ports.ts";

/** What a problem document may say besides slug, title and status. */
type More = {
  readonly detail?: string;
  readonly violations?: readonly { readonly path: string; readonly says: string }[];
  readonly missing?: readonly string[];
  readonly haveBytes?: number;
};

/** A request that is refused: thrown anywhere while it is handled, answered as a problem document. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly slug: ProblemSlug;
  readonly more: More;
  readonly headers: Readonly<Record<string, string>>;

  constructor(slug: ProblemSlug, more: More = {}, headers: Readonly<Record<string, string>> = {}) {
    super(more.detail ?? PROBLEMS[slug].title);
    this.slug = slug;
    this.more = more;
    this.headers = headers;
  }
}

/** The problem document (RFC 9457) of a refusal. */
export function problemOf({ slug, more }: Refusal): Readonly<Record<string, unknown>> {
  const { status, title } = PROBLEMS[slug];
  return { type: `urn:testbed:problem:${slug}`, title, status, ...more };
}

const OF_STORE = {
  busy: "unavailable",
  full: "full",
  failed: "unavailable",
  newer: "unavailable",
  taken: "unavailable",
  lost: "unavailable",
} as const satisfies Record<StoreError["code"], ProblemSlug>;

const OF_FILES = {
  full: "full",
  superseded: "unavailable",
  failed: "unavailable",
} as const satisfies Record<FilesError["code"], ProblemSlug>;

/** What fastify says of a request that it does not hand on. */
const OF_FASTIFY: Readonly<Record<string, ProblemSlug>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "too-large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "wrong-media",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "malformed",
  FST_ERR_BAD_URL: "malformed",
  FST_ERR_MAX_PARAM_LENGTH: "malformed",
  FST_ERR_ASYNC_CONSTRAINT: "malformed",
};

const AGAIN = { "retry-after": "1" };

/** Any error as the refusal that its request is answered with; what nobody foresaw is a bug, and tells strangers nothing. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof StoreError) return refusalAs(OF_STORE[error.code]);
  if (error instanceof FilesError) return refusalAs(OF_FILES[error.code]);
  const slug = OF_FASTIFY[(error as { code?: string }).code ?? ""];
  return new Refusal(slug ?? "bug");
}

function refusalAs(slug: ProblemSlug): Refusal {
  return new Refusal(slug, {}, slug === "unavailable" ? AGAIN : {});
}
