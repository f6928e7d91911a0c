import { Bell } from "#lib/bell.ts";
import { deadline } from "#lib/deadline.ts";
import type { Log } from "#lib/log.ts";
import { Seldom } from "#lib/seldom.ts";
import type { LeaseRequest } from "#protocol/lease.ts";
import type { Attempts } from "./attempts.ts";
import { claimOf } from "./claim.ts";
import type { AttemptBook, Uplink } from "./ports.ts";

/** Where there is no room now, whether there is some is looked at again after so long; else one long poll follows the other. */
const WAIT_SECONDS = { full: 10, free: 30 } as const;

const AFTER_TROUBLE_MS = 10_000;

/** Beyond the time that it waits, a service that is away: what was offered before may not be true when it is back. */
const STALE_MS = 60_000;

/** An answer that comes so soon was no wait: the service stops, or another daemon asks under this host's name. */
const AT_ONCE_MS = 1_000;
const ASK_AGAIN_MS = 2_000;

/** So many answers in a row that came at once are worth a word, now and then. */
const AT_ONCE_MAX = 5;
const SAY_EVERY_MS = 3_600_000;

/** What the host says of itself when it asks for work; `waitSeconds` and `requestId` are the loop's affair. */
export type Offer = Omit<LeaseRequest, "waitSeconds" | "requestId">;

export type LeaseTaking = {
  readonly host: string;
  readonly uplink: Uplink;
  readonly book: AttemptBook;
  readonly attempts: Attempts;
  readonly log: Log;
  /** What is free now; nothing while the host is drained. */
  readonly offer: () => Promise<Offer>;
  /** Aborts when an offer that is being waited with is no longer true, since there is more room now. */
  readonly changed: () => AbortSignal;
};

/**
 * Asks for work and begins it, until `stop` aborts. A host without room asks, too, with nothing to offer: so the service knows that it
 * lives. A lease whose answer was lost comes with the next one, since the same request id is used until a lease is noted on disk.
 */
export async function takeLeases(taking: LeaseTaking, stop: AbortSignal): Promise<void> {
  const seldom = new Seldom(SAY_EVERY_MS, 2);
  let atOnce = 0;
  while (!stop.aborted) {
    try {
      const outdated = taking.changed();
      const askedMs = performance.now();
      const isNothing = !(await takeOne(taking, outdated, stop));
      const isAtOnce = isNothing && performance.now() - askedMs < AT_ONCE_MS;
      atOnce = isAtOnce && !outdated.aborted ? atOnce + 1 : 0;
      if (atOnce === 0) continue;
      if (atOnce > AT_ONCE_MAX && seldom.take("") !== undefined)
        taking.log.warn(WORD_OF_TWIN, { host: taking.host });
      await new Bell().heard(ASK_AGAIN_MS, AbortSignal.any([stop, outdated]));
    } catch (error) {
      if (stop.aborted) return;
      // Asked again and again, for days if need be; the status says it all the time.
      if (seldom.take((error as Error).message) !== undefined)
        taking.log.error("no work could be taken", { error });
      await new Bell().heard(AFTER_TROUBLE_MS, stop);
    }
  }
}

const WORD_OF_TWIN =
  "the job service ends each wait for work at once; is there another daemon with this host's name and token?";

/** Whether there was a lease. */
async function takeOne(
  { uplink, book, attempts, log, offer }: LeaseTaking,
  outdated: AbortSignal,
  stop: AbortSignal,
): Promise<boolean> {
  const offered = await offer();
  const waitSeconds = offered.free.slots > 0 ? WAIT_SECONDS.free : WAIT_SECONDS.full;
  const request = { ...offered, requestId: await book.requestId(), waitSeconds };
  using stale = deadline(waitSeconds * 1000 + STALE_MS, () => new Error("the offer is old"));
  const grant = await uplink
    .take(request, AbortSignal.any([stop, outdated, stale.signal]))
    .catch((error: unknown) => {
      if ((outdated.aborted || stale.signal.aborted) && !stop.aborted) return undefined;
      throw error;
    });
  if (grant === undefined) return false;
  const folder = await book.begin(grant);
  const about = { job: grant.jobId, attempt: grant.attempt };
  if (folder === undefined) {
    log.warn("the service gave a lease again that was known here; it is not begun twice", about);
    return true;
  }
  log.info("attempt begins", { ...about, image: grant.job.image });
  attempts.begin(folder, claimOf(grant, offered.images));
  return true;
}
