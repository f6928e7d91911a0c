import type { HttpAnswer } from "#lib/http-client.ts";
import { printable } from "#lib/printable.ts";
import { PROBLEMS, type ProblemSlug } from "./problem.ts";

const PREFIX = "urn:testbed:problem:";

/** The service said no. What it says of it comes from outside: printable here, and for people only. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly status: number;
  /** Undefined when it is no problem of this protocol: a proxy's page, a newer service. */
  readonly slug: ProblemSlug | undefined;
  /** Whether this came from something else than a job service: a proxy's page, another server. */
  readonly isForeign: boolean;
  /** With `wrong-offset`: how much there is. */
  readonly haveBytes: number | undefined;
  /** With `inputs-missing`: digests. */
  readonly missing: readonly string[];
  /** With `too-many`, `unavailable` and `full`: when to ask again. */
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, message: string, more: Partial<Refused> = {}) {
    super(message);
    this.status = status;
    this.slug = more.slug;
    this.isForeign = more.isForeign ?? false;
    this.haveBytes = more.haveBytes;
    this.missing = more.missing ?? [];
    this.retryAfterSeconds = more.retryAfterSeconds;
  }

  /** Whether the same question may be answered later: the service is busy, starting, full or behind a broken proxy. */
  get isPassing(): boolean {
    return PASSING.has(this.status) && this.slug !== "bug" && this.slug !== "over-quota";
  }
}

const PASSING: ReadonlySet<number> = new Set([408, 429, 502, 503, 504, 507]);

/** The refusal in an answer that is no success, whose body is `text`. */
export function readRefusal({ status, headers }: HttpAnswer, text: string): Refused {
  const retryAfter = Number(headers["retry-after"]);
  const problem = parse(text);
  const name = String(problem["type"]);
  const known = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : "";
  const slug = Object.hasOwn(PROBLEMS, known) ? (known as ProblemSlug) : slugOfStatus(status, text);
  const { haveBytes, missing } = problem;
  return new Refused(status, messageOf(problem, status), {
    slug,
    isForeign: slug === undefined && text !== "" && !name.startsWith(PREFIX),
    haveBytes: isCount(haveBytes) ? haveBytes : undefined,
    missing: Array.isArray(missing) ? missing.map(String) : [],
    retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : undefined,
  });
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** An answer to HEAD has no body; the status alone must do where only one problem has it. */
function slugOfStatus(status: number, text: string): ProblemSlug | undefined {
  if (text !== "") return undefined;
  const slugs = (Object.keys(PROBLEMS) as ProblemSlug[]).filter(
    (slug) => PROBLEMS[slug].status === status,
  );
  return status === 409 ? "fenced" : slugs.length === 1 ? slugs[0] : undefined;
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

const VIOLATIONS_SHOWN_MAX = 5;

function messageOf(problem: Record<string, unknown>, status: number): string {
  const { title, detail, violations } = problem;
  const says = [title, detail].filter((part) => typeof part === "string").join(": ");
  const places = (Array.isArray(violations) ? (violations as unknown[]) : [])
    .slice(0, VIOLATIONS_SHOWN_MAX)
    .map((violation) => violation as { path?: unknown; says?: unknown })
    .map(({ path, says: wrong }) => `${String(path)}: ${String(wrong)}`);
  const text = [says === "" ? `the answer's status is ${status}` : says, ...places].join("; ");
  return printable(text, 2000);
}
