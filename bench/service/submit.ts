import { Line } from "./line.ts";
import { submitText } from "./messages.ts";
import type { Site } from "./site.ts";

/**
 * Submits so many jobs, all submitters at once and each one job after the other, and returns the milliseconds that it took.
 * With `halfFits` every second job fits no host.
 */
export async function submit({
  site,
  count,
  halfFits,
}: {
  site: Site;
  count: number;
  halfFits: boolean;
}): Promise<number> {
  using scope = new DisposableStack();
  const lines = await Promise.all(site.submitters.map((token) => Line.open(site.to, token)));
  for (const line of lines) scope.use(line);
  let begun = 0;
  const work = async (line: Line) => {
    while (begun < count) {
      begun += 1;
      const body = submitText(begun, !halfFits || begun % 2 === 0);
      await line.askJson({ method: "POST", path: "/v1/jobs", body }, 201);
    }
  };
  const startedMs = performance.now();
  await Promise.all(lines.map(work));
  return performance.now() - startedMs;
}
