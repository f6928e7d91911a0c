import type { Steadiness } from "#lib/steadiness.ts";
import { type ChoreReport, few } from "./chore.ts";
import type { Evidence, StateCheck, StateFinding } from "./ports.ts";

type Rooms = {
  readonly state: StateCheck;
  readonly evidence: Evidence;
  readonly steadiness: Steadiness;
  /** Attempts that the daemon has to do with now: whatever their folders look like, they are its own. */
  readonly atWork: () => ReadonlySet<string>;
};

/** An attempt whose lease cannot be read cannot be told of to anybody. Its evidence stays as long as any that is set aside. */
const UNREADABLE = "its lease cannot be read, so the job service cannot be told of it";

/**
 * The chore: says what in the state folder nobody knows or can read, removes what is ours and was left half made, and sets aside what
 * cannot be delivered. Twice is safe.
 */
export async function checkState(rooms: Rooms, signal: AbortSignal): Promise<ChoreReport> {
  const { state, evidence, steadiness, atWork } = rooms;
  const now = { wallMs: Date.now(), isSteady: steadiness.isSteady() };
  const found = await state.look(now);
  const aside: string[] = [];
  for (const { name, state: is } of await evidence.list()) {
    signal.throwIfAborted();
    if (is !== "unreadable" || atWork().has(name)) continue;
    await evidence.setAside(name, UNREADABLE);
    aside.push(name);
  }
  const told = (isRemoved: boolean) =>
    found.filter((finding) => finding.isRemoved === isRemoved).map(inWords);
  const [removed, left] = [told(true), told(false)];
  return {
    isNews: found.length + aside.length > 0,
    fields: {
      removed: removed.length,
      unknown: left.length,
      setAside: aside.length,
      ...(removed.length > 0 ? { removedNamed: few(removed) } : {}),
      ...(left.length > 0 ? { unknownNamed: few(left) } : {}),
      ...(aside.length > 0 ? { setAsideNamed: few(aside) } : {}),
    },
  };
}

function inWords({ path, says }: StateFinding): string {
  return `${path}: ${says}`;
}
