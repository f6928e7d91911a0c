import type { HostView } from "#protocol/host-view.ts";
import type { Census } from "#service/ports.ts";
import type { HostRecord } from "./host-book.ts";
import type { Ledger } from "./ledger.ts";
import type { LiveLease } from "./live-leases.ts";
import type { Row } from "./sql.ts";
import { present, timeOf } from "./views.ts";

/** How many of its last broken attempts a host is shown with. */
const FAULTS_MAX = 20;

/** All hosts by name: see `Store.hosts`. */
export function hosts(ledger: Ledger): readonly HostView[] {
  const doing = ledger.leases.byHost();
  return ledger.hosts
    .all()
    .map((host) => viewOf(ledger, host, doing.get(host.offer.host) ?? []))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** How many there are of everything that metrics tell: see `Store.census`. */
export function census({ hosts: book, leases, queue }: Ledger): Census {
  const doing = leases.byHost();
  const counts = { ready: 0, draining: 0, drained: 0, lost: 0 };
  for (const host of book.all())
    counts[stateOf(host, doing.get(host.offer.host)?.length ?? 0)] += 1;
  const attempts = [...doing.values()].reduce((sum, live) => sum + live.length, 0);
  return { hosts: counts, attempts, queued: queue.size };
}

/** Drains a host or lets it work again: see `Store.setDrain`. */
export function setDrain(
  ledger: Ledger,
  { host, why }: { host: string; why: string | undefined },
): HostView | undefined {
  if (!ledger.hosts.setDrain(host, why, ledger)) return undefined;
  return hosts(ledger).find(({ name }) => name === host);
}

function viewOf(ledger: Ledger, host: HostRecord, doing: readonly LiveLease[]): HostView {
  const { host: name, ...offer } = host.offer;
  const state = stateOf(host, doing.length);
  return {
    name,
    state,
    since: timeOf((state === "lost" ? host.lostAt : host.drain?.at) ?? host.firstAt),
    seenAt: timeOf(host.seenAt),
    ...present({ drain: host.drain?.why }),
    ...offer,
    doing: doing.map(({ jobId, attempt, phase, leasedAt }) => ({
      jobId,
      attempt,
      phase,
      since: timeOf(leasedAt),
    })),
    faults: faultsOf(ledger, name),
  };
}

function stateOf({ lostAt, drain }: HostRecord, leases: number): HostView["state"] {
  if (lostAt !== undefined) return "lost";
  if (drain === undefined) return "ready";
  return leases === 0 ? "drained" : "draining";
}

type FaultRow = Row & {
  id: string;
  number: number;
  fault: string;
  message: string | null;
  ended_at: number;
};

function faultsOf({ sql }: Ledger, host: string): HostView["faults"] {
  const rows = sql.all<FaultRow>(
    `SELECT id, number, fault, attempts.verdict ->> '$.fault.message' AS message, ended_at FROM attempts JOIN jobs USING (job)
     WHERE attempts.host = ? AND fault IS NOT NULL ORDER BY ended_at DESC LIMIT ${FAULTS_MAX}`,
    host,
  );
  return rows.map(({ id, number, fault, message, ended_at }) => ({
    jobId: id,
    attempt: number,
    code: fault,
    at: timeOf(ended_at),
    ...present({ message }),
  }));
}
