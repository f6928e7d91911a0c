import type { TokenView } from "#protocol/token.ts";
import type { NotHeld } from "#service/ports.ts";
import { Refusal } from "./refusal.ts";
import type { Rooms } from "./rooms.ts";

/** The live lease of this host; refuses what it does not hold, with the reason. */
export async function held({ store, changes }: Rooms, lease: string, token: TokenView) {
  const found = await store.holds(lease, token.name);
  if (found.kind !== "held") throw notHeld(found);
  // Whether it wrote logs before a restart is not known.
  changes.remember(lease, { jobId: found.jobId, attempt: found.attempt, hasLogs: true });
  return found;
}

/** How a lease that does not hold is refused. */
export function notHeld(found: NotHeld): Refusal {
  return found.kind === "fenced"
    ? new Refusal("fenced", { detail: found.why })
    : new Refusal("not-found", { detail: "no such lease of this host" });
}
