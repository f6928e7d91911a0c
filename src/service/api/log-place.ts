import type { JobGlance } from "#service/ports.ts";

/** From where a log is followed, and how its events are numbered. */
export type LogPlace = {
  readonly attempt: number;
  readonly after: number;
  /** The id of an event that ends at an offset. */
  readonly idOf: (offset: number) => number | string;
};

const ID = /^(?:([0-9]{1,2})-)?([0-9]{1,15})$/;

/**
 * Where a follower goes on. Who names the attempt counts bytes of it. Who does not may find another attempt when it comes back, so its
 * ids name the attempt as well, and when all of that one is read it goes on with the next, if there is or will be one.
 */
export async function placeOf(
  job: JobGlance,
  { asked, lastEventId = "0" }: { asked: number | undefined; lastEventId: string | undefined },
  have: (attempt: number) => Promise<number>,
): Promise<LogPlace> {
  const [, read, offset = "0"] = ID.exec(lastEventId) ?? [];
  const after = Number(offset);
  if (asked !== undefined) {
    const isSame = read === undefined || Number(read) === asked;
    return { attempt: asked, after: isSame ? after : 0, idOf: (at) => at };
  }
  const attempt = read === undefined ? Math.max(job.attempts, 1) : Number(read);
  const isRead = read !== undefined && isOver(job, attempt) && after >= (await have(attempt));
  const goesOn = job.attempts > attempt || job.state !== "settled";
  const place = isRead && goesOn ? { attempt: attempt + 1, after: 0 } : { attempt, after };
  return { ...place, idOf: (at) => `${place.attempt}-${at}` };
}

/** Whether nothing more comes of an attempt. */
export function isOver({ state, attemptList }: JobGlance, number: number): boolean {
  const attempt = attemptList.find((one) => one.number === number);
  return attempt === undefined ? state === "settled" : attempt.state !== "live";
}
