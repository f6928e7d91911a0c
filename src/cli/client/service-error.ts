import type { ServiceAccess } from "#config/contexts.ts";
import { NoAnswer } from "#lib/http-client.ts";
import type { ProblemSlug } from "#protocol/problem.ts";
import { Refused } from "#protocol/refused.ts";

/** The job service said no, or nothing. The message names the service, says what it said, and what to try. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  /** 2 when what was asked is wrong, 3 when the service is. */
  readonly exitCode: 2 | 3;
  /** The service's own name for it. */
  readonly problem: ProblemSlug | undefined;

  constructor(
    message: string,
    { exitCode, problem, cause }: { exitCode: 2 | 3; problem?: ProblemSlug; cause: unknown },
  ) {
    super(message, { cause });
    this.exitCode = exitCode;
    this.problem = problem;
  }
}

/** What came is nothing that a job service says, or not what it had told before. */
export class ForeignAnswer extends Error {
  override readonly name = "ForeignAnswer";
}

/** What people can do about a refusal, and whether it is their mistake. Those that are not listed are the service's. */
const ADVICE: Readonly<
  Partial<Record<ProblemSlug, { readonly exitCode: 2 | 3; readonly next?: string }>>
> = {
  malformed: { exitCode: 2 },
  unauthenticated: { exitCode: 2, next: "an admin makes one with 'testbed token create'" },
  forbidden: { exitCode: 2, next: "use a token of another role" },
  "not-found": { exitCode: 2, next: "'testbed jobs' and 'testbed hosts' list what there is" },
  "other-version": { exitCode: 2 },
  gone: { exitCode: 2 },
  "too-large": { exitCode: 2 },
  "wrong-range": { exitCode: 2 },
  invalid: { exitCode: 2, next: "perhaps the service is of another version than this testbed" },
  "key-reused": {
    exitCode: 2,
    next: "the job or its inputs changed since; give another --key, or none",
  },
  "too-many": { exitCode: 3, next: "try again in a moment" },
  unavailable: { exitCode: 3, next: "try again in a moment" },
  full: { exitCode: 3, next: "its disk is full: the service's admin must make room" },
};

/** A thrown error with the words for it, when it is the service's; any other as it is. */
export function explained(error: unknown, access: ServiceAccess): unknown {
  if (error instanceof Refused) return refusal(error, access);
  const where = access.context === undefined ? "" : ` (context ${access.context})`;
  if (error instanceof ForeignAnswer) {
    const message = `${access.service}${where}: ${error.message}`;
    return new ServiceError(message, { exitCode: 3, cause: error });
  }
  if (!(error instanceof NoAnswer)) return error;
  return new ServiceError(`no answer from the job service${where}: ${error.message}`, {
    exitCode: 3,
    cause: error,
  });
}

function refusal(error: Refused, { context, service, tokenFrom }: ServiceAccess): ServiceError {
  const { slug } = error;
  const known = slug === undefined ? undefined : ADVICE[slug];
  const where = context === undefined ? service : `${service} (context ${context})`;
  const next =
    slug === undefined && error.status === 404 ? "is that a job service of testbed?" : known?.next;
  const token =
    slug === "unauthenticated" || slug === "forbidden" ? [`it is from ${tokenFrom}`] : [];
  const words = [error.message, ...token, ...(next === undefined ? [] : [next])].join("; ");
  return new ServiceError(`${where}: ${words}`, {
    exitCode: known?.exitCode ?? 3,
    ...(slug === undefined ? {} : { problem: slug }),
    cause: error,
  });
}
