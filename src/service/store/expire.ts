import { Fault } from "#job/fault.ts";
import { reportOf } from "#job/verdict.ts";
import type { Expired } from "#service/ports.ts";
import { endAttempt, finishQueued } from "./conclude.ts";
import { followClock } from "./follow-clock.ts";
import type { Ledger } from "./ledger.ts";
import type { LiveLease } from "./live-leases.ts";

/** How many jobs past their limit one call ends; the next call goes on. */
const JOBS_AT_ONCE = 1000;

/** Ends what passed its time: see `Store.expire`. */
export function expire(ledger: Ledger): Expired {
  const past = ledger.leases.past(ledger.nowMs);
  for (const live of past) fence(ledger, live, silent(ledger, live));
  const overrun = ledger.leases.overrun(ledger.nowMs);
  for (const live of overrun) fence(ledger, live, overran(live));
  followClock(ledger);
  const waiting = ledger.sql.all<{ job: number; seconds: number }>(
    `SELECT job, queue_seconds AS seconds FROM queue JOIN jobs USING (job) WHERE limit_at <= ? LIMIT ${JOBS_AT_ONCE}`,
    ledger.wallMs,
  );
  for (const { job, seconds } of waiting) {
    finishQueued(
      ledger,
      job,
      "timed-out",
      `no host took it within its queue limit of ${seconds} s`,
    );
  }
  const hosts = ledger.hosts.loseSilent(ledger);
  return { leases: past.length + overrun.length, jobs: waiting.length, hosts };
}

function silent({ options }: Ledger, { host, phase }: LiveLease): Fault {
  const why = `host ${host} was silent for ${options.leaseSeconds} s and lost its lease while ${phase}`;
  return new Fault("host-lost", why);
}

function overran({ host, phase, timeoutSeconds }: LiveLease): Fault {
  const why = `host ${host} held the attempt long past its time limit of ${timeoutSeconds} s, last while ${phase}, and lost its lease`;
  return new Fault("host-overran", why);
}

function fence(ledger: Ledger, live: LiveLease, fault: Fault): void {
  const verdict = { kind: "broken" as const, fault: { ...reportOf(fault), evidence: {} } };
  endAttempt(ledger, live, { state: "fenced", verdict, why: fault.message });
}
