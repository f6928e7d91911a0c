import { takeLease } from "./lease.ts";
import { Line, unexpected } from "./line.ts";
import { VERDICT_TEXT } from "./messages.ts";
import type { Site } from "./site.ts";

/**
 * Has every host of a site lease jobs and report their verdicts, one job at a time each, until so many jobs are done. Returns
 * the milliseconds that it took, connections not counted. Throws when the queue has too few jobs.
 */
export async function cycles({ site, count }: { site: Site; count: number }): Promise<number> {
  using scope = new DisposableStack();
  const lines = await Promise.all(site.hosts.map(({ token }) => Line.open(site.to, token)));
  for (const line of lines) scope.use(line);
  let begun = 0;
  const work = async (line: Line, host: string) => {
    while (begun < count) {
      begun += 1;
      await report(line, (await takeLease(line, host)).lease);
    }
  };
  const startedMs = performance.now();
  await Promise.all(lines.map((line, at) => work(line, site.hosts[at]?.name ?? "")));
  return performance.now() - startedMs;
}

/** Reports a lease's job as passed. */
export async function report(line: Line, lease: string): Promise<void> {
  const request = {
    method: "POST",
    path: `/v1/leases/${lease}/verdict`,
    body: VERDICT_TEXT,
  } as const;
  const answer = await line.ask(request);
  if (answer.status !== 200) throw unexpected(request, answer);
}
