import { bytes, prose, sha256 } from "#job/values.ts";

/**
 * Every way a request can be refused, as problem documents (RFC 9457, `application/problem+json`). A document's `type` is
 * `urn:testbed:problem:<slug>`; slugs and statuses are stable, titles are for people. A refused request has changed
 * nothing, unless it says `haveBytes`.
 */
export const PROBLEMS = {
  malformed: { status: 400, title: "the request is not well formed" },
  unauthenticated: { status: 401, title: "the token is missing, unknown or revoked" },
  forbidden: { status: 403, title: "the token's role does not allow this" },
  "not-found": { status: 404, title: "there is no such thing, or it is somebody else's" },
  "method-not-allowed": { status: 405, title: "this path does not know the method" },
  "too-slow": { status: 408, title: "the request took too long to arrive" },
  fenced: { status: 409, title: "the lease was lost, and the job goes on without this attempt" },
  "wrong-offset": { status: 409, title: "the bytes do not begin where the last ones ended" },
  gone: { status: 410, title: "it was here, and left after its time or to make room" },
  "length-required": { status: 411, title: "the length of the body must be told" },
  "too-large": { status: 413, title: "the body is larger than allowed here" },
  "wrong-media": { status: 415, title: "the body is not of the type that is taken here" },
  "wrong-range": { status: 416, title: "the range lies outside of what there is" },
  invalid: { status: 422, title: "the request does not fit its schema" },
  "inputs-missing": { status: 422, title: "inputs of the job were not uploaded by this submitter" },
  "key-reused": { status: 422, title: "the idempotency key was used for another request" },
  "wrong-digest": { status: 422, title: "the content does not have the digest that was told" },
  "not-delivered": { status: 422, title: "the report names what the service does not have" },
  "queue-full": { status: 429, title: "the submitter has as many jobs in the queue as it may" },
  "too-many": { status: 429, title: "too many requests" },
  "headers-too-large": { status: 431, title: "the request's headers are too large" },
  bug: { status: 500, title: "the service itself went wrong" },
  "other-version": { status: 501, title: "this service speaks another version of the protocol" },
  unavailable: { status: 503, title: "the service cannot answer now; ask again" },
  full: { status: 507, title: "the service has no room for more" },
  "over-quota": { status: 507, title: "that is more than may be kept of one submitter or attempt" },
} as const satisfies Record<string, { status: number; title: string }>;

/** The stable name of a way to be refused. */
export type ProblemSlug = keyof typeof PROBLEMS;

export const problemSchema = {
  type: "object",
  description: "Why a request was refused (RFC 9457).",
  additionalProperties: false,
  required: ["type", "title", "status"],
  properties: {
    type: {
      enum: Object.keys(PROBLEMS).map((slug) => `urn:testbed:problem:${slug}`),
      description: "Stable name of the problem.",
    },
    title: { type: "string", maxLength: 200 },
    status: { type: "integer", minimum: 400, maximum: 599 },
    detail: { ...prose, description: "What is wrong with this very request, and what to try." },
    violations: {
      type: "array",
      maxItems: 50,
      description: "With invalid: everything that is wrong, each with its place.",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["path", "says"],
        properties: { path: { ...prose, maxLength: 500 }, says: { ...prose, maxLength: 1000 } },
      },
    },
    missing: {
      type: "array",
      maxItems: 100,
      items: sha256,
      description: "With inputs-missing and not-delivered.",
    },
    haveBytes: { ...bytes, description: "With wrong-offset: how much there is; go on from here." },
  },
} as const;
