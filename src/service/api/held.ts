import type { TokenView } from "#protocol/token.ts";
import type { NotHeld } from "#service/ports.ts";
import type { LeasedAttempt } from "./job-changes.ts";
import { Refusal } from "./refusal.ts";
import type { Rooms } from "./rooms.ts";
import { Tally } from "./tally.ts";

/** The live lease of this host; refuses what it does not hold, with the reason. */
export async function held(rooms: Rooms, lease: string, token: TokenView) {
  const found = await rooms.store.holds(lease, token.name);
  if (found.kind !== "held") throw notHeld(found);
  const { jobId, attempt } = found;
  // Whether it wrote logs before a restart is not known.
  const known = remember(rooms, lease, { host: token.name, jobId, attempt, hasLogs: true });
  return { ...found, known };
}

/** Remembers what a lease is about, with what its attempt has stored so far. Twice is safe. */
export function remember(
  { changes, logs, contents }: Rooms,
  lease: string,
  about: Omit<LeasedAttempt, "logs" | "artifacts">,
): LeasedAttempt {
  const { jobId, attempt } = about;
  return (
    changes.leased(lease) ??
    changes.remember(lease, {
      ...about,
      logs: new Tally(() => logs.sizes(jobId, attempt)),
      artifacts: new Tally(() => contents.sizes(jobId, attempt)),
    })
  );
}

/** How a lease that does not hold is refused. */
export function notHeld(found: NotHeld): Refusal {
  return found.kind === "fenced"
    ? new Refusal("fenced", { detail: found.why })
    : new Refusal("not-found", { detail: "no such lease of this host" });
}
