import { deadline, untilAborted } from "#lib/deadline.ts";
import { type Finding, problem } from "./finding.ts";
import type { HostView } from "./host-view.ts";

/** One look at the host. `look` may throw: that is a problem by itself. */
export type Check = {
  readonly name: string;
  readonly deadlineMs: number;
  look(view: HostView, signal: AbortSignal): Promise<Finding>;
};

/** A finding and the check that made it. */
export type NamedFinding = Finding & { readonly name: string };

/** Makes all checks at once and returns what they found, in their order. Ends at the longest of their deadlines. */
export async function examine(
  checks: readonly Check[],
  view: HostView,
): Promise<readonly NamedFinding[]> {
  return await Promise.all(checks.map((check) => make(check, view)));
}

async function make({ name, deadlineMs, look }: Check, view: HostView): Promise<NamedFinding> {
  using limit = deadline(deadlineMs, () => new Error(`no answer within ${deadlineMs / 1000} s`));
  try {
    return { name, ...(await untilAborted(limit.signal, look(view, limit.signal))) };
  } catch (error) {
    return { name, ...problem(error instanceof Error ? error.message : String(error)) };
  }
}
