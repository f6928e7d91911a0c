import { setTimeout as delay } from "node:timers/promises";
import { report } from "./cycles.ts";
import { Line, unexpected } from "./line.ts";
import { leaseRequestText, submitText } from "./messages.ts";
import type { Site } from "./site.ts";

/** The longest long poll. */
const WAIT_SECONDS = 60;

/**
 * With every host of a site waiting for work, submits `count` jobs at an even pace and returns for each the milliseconds from
 * its submit to the arrival of its lease. Hosts report each job at once and wait again.
 */
export async function untilLeased({
  site,
  count,
  perSecond,
}: {
  site: Site;
  count: number;
  perSecond: number;
}): Promise<readonly number[]> {
  using scope = new DisposableStack();
  const open = async (token: string) => scope.use(await Line.open(site.to, token));
  const submittedMs = new Map<string, number>();
  const leasedMs = new Map<string, number>();
  const done = Promise.withResolvers<void>();
  const hosts = await Promise.all(
    site.hosts.map(async ({ name, token }) => ({ name, line: await open(token) })),
  );
  const waiting = hosts.map(({ name, line }) =>
    work(line, name, (job) => {
      leasedMs.set(job, performance.now());
      if (leasedMs.size === count) done.resolve();
    }),
  );
  // Whose connection is closed at the end waits no longer; who fails before that has the call fail.
  Promise.all(waiting).catch(done.reject);
  const [line] = await Promise.all(site.submitters.slice(0, 1).map(open));
  if (line === undefined) throw new Error("no submitter");
  const startedMs = performance.now();
  for (let at = 0; at < count; at += 1) {
    const leftMs = startedMs + (at * 1000) / perSecond - performance.now();
    if (leftMs > 0) await delay(leftMs);
    const beganMs = performance.now();
    const request = { method: "POST", path: "/v1/jobs", body: submitText(at, true) } as const;
    const { id } = (await line.askJson(request, 201)) as { id: string };
    submittedMs.set(id, beganMs);
  }
  await done.promise;
  return [...submittedMs].map(([job, ms]) => (leasedMs.get(job) ?? Number.NaN) - ms);
}

/** What a host does all day. */
async function work(line: Line, host: string, onLease: (job: string) => void): Promise<never> {
  for (;;) {
    const body = leaseRequestText(host, WAIT_SECONDS);
    const request = { method: "POST", path: "/v1/leases", body } as const;
    const answer = await line.ask(request);
    if (answer.status === 204) continue;
    if (answer.status !== 200) throw unexpected(request, answer);
    const { lease, jobId } = JSON.parse(answer.body.toString()) as { lease: string; jobId: string };
    onLease(jobId);
    await report(line, lease);
  }
}
