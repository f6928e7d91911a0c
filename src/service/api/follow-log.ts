import { Bell } from "#lib/bell.ts";
import type { LogKey } from "#service/file-ports.ts";
import type { JobGlance } from "#service/ports.ts";
import type { ServerEvent } from "./ask.ts";
import { isOver, type LogPlace } from "./log-place.ts";
import { ALIVE_MS, LOOK_AGAIN_MS } from "./pace.ts";
import { readAll } from "./read-all.ts";
import type { Rooms } from "./rooms.ts";

/** The longest piece of a log in one event, before base64. */
const PIECE_BYTES_MAX = 64 * 1024;

/** The pieces of a log after an offset, until its attempt is over; an event's id tells the offset after it. */
export async function* followLog(
  { store, logs, changes }: Rooms,
  { key, job, place }: { key: LogKey; job: JobGlance; place: Pick<LogPlace, "after" | "idOf"> },
  gone: AbortSignal,
): AsyncGenerator<ServerEvent> {
  const bell = new Bell();
  using _ = changes.follow(key.jobId, bell.ring);
  using __ = logs.onGrown(key, bell.ring);
  let at = place.after;
  let saidMs = performance.now();
  let isLast = isOver(job, key.attempt);
  while (!gone.aborted) {
    const have = await logs.have(key);
    while (at < have && !gone.aborted) {
      const last = Math.min(have, at + PIECE_BYTES_MAX) - 1;
      const piece = await readAll(logs.read(key, { first: at, last }));
      at += piece.length;
      yield { id: place.idOf(at), data: { base64: piece.toString("base64") } };
      saidMs = performance.now();
    }
    if (isLast) return;
    if (performance.now() - saidMs > ALIVE_MS) {
      yield "alive";
      saidMs = performance.now();
    }
    await bell.heard(LOOK_AGAIN_MS, gone);
    // Asked before the length: what an attempt that is over wrote is all there by then.
    if ((await logs.have(key)) > at) continue;
    const now = await store.glance(key.jobId);
    isLast = now === undefined || isOver(now, key.attempt);
  }
}
