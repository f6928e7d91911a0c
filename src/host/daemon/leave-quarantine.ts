import { Bell } from "#lib/bell.ts";
import type { Log } from "#lib/log.ts";
import type { HealthOutcome } from "./health-check.ts";
import type { Quarantine } from "./quarantine.ts";

/** A check that cannot be made now, since somebody drained the host or its image is missing, is tried again after so long. */
const TRY_AGAIN_MS = 30_000;

/** Has each pause of a quarantine followed by a health check, until `stop` aborts. */
export async function leaveQuarantine(
  quarantine: Quarantine,
  check: (signal: AbortSignal) => Promise<HealthOutcome>,
  log: Log,
  stop: AbortSignal,
): Promise<void> {
  const changed = new Bell();
  quarantine.onChange(changed.ring);
  let said: string | undefined;
  while (!stop.aborted) {
    const leftMs = quarantine.msLeft ?? Number.MAX_SAFE_INTEGER;
    await changed.heard(leftMs, stop);
    if (stop.aborted || quarantine.msLeft !== 0) continue;
    const outcome = await check(stop);
    if (outcome.kind !== "skipped") {
      said = undefined;
      quarantine.checked(outcome.kind === "passed" ? undefined : outcome.fault);
      continue;
    }
    if (outcome.why !== said && !stop.aborted)
      log.warn("stays in quarantine, no health check can be made", { why: outcome.why });
    said = outcome.why;
    await new Bell().heard(TRY_AGAIN_MS, stop);
  }
}
