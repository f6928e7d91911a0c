import { Bell } from "#lib/bell.ts";
import type { ROUTES } from "#protocol/routes.ts";
import type { Ask, Reply } from "./ask.ts";
import { held, notHeld } from "./held.ts";
import type { Rooms } from "./rooms.ts";

/** A renewal; with `waitSeconds` it is held until somebody cancels the job, or for so long. */
export async function renewLease(
  rooms: Rooms,
  { token, path: { lease }, body, signal }: Ask<(typeof ROUTES)["renewLease"]>,
): Promise<Reply> {
  const { store, changes, gate } = rooms;
  const renew = async () => {
    const renewed = await store.renew(lease, token.name, body);
    if (renewed.kind !== "renewed") throw notHeld(renewed);
    const { kind: _, ...reply } = renewed;
    return reply;
  };
  let reply = await renew();
  changes.tellLease(lease);
  const endMs = performance.now() + (body.waitSeconds ?? 0) * 1000;
  if ((body.waitSeconds ?? 0) === 0 || reply.cancel !== undefined)
    return { status: 200, json: reply };
  const gone = signal();
  gate.wait(token, gone);
  const { jobId } = await held(rooms, lease, token);
  const bell = new Bell();
  using _ = changes.follow(jobId, bell.ring, "cancel");
  for (;;) {
    // First of all once more: it may have been cancelled before anybody listened.
    reply = await renew();
    const leftMs = endMs - performance.now();
    if (reply.cancel !== undefined || leftMs <= 0) return { status: 200, json: reply };
    await bell.heard(leftMs, gone);
    // Nobody reads it: a host that has reported lets go of the renewal that it holds, and is not to be told off for it.
    if (gone.aborted) return { status: 200, json: reply };
  }
}
