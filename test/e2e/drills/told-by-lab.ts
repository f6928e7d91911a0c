import { text } from "node:stream/consumers";
import type { JobDetail } from "#protocol/job-view.ts";
import type { Lab } from "#test/kit/lab.ts";
import type { ToldJob } from "./job-invariants.ts";

const signal = () => AbortSignal.timeout(10_000);

/** What a lab's service tells, over its own socket. */
export type ToldByLab = {
  /** Undefined while the service does not answer. */
  detail(job: string): Promise<JobDetail | undefined>;
  job(job: string): Promise<ToldJob>;
};

export function toldByLab({ desk }: Lab): ToldByLab {
  const detail = async (job: string) =>
    await desk.json("showJob", { path: { job }, signal: signal() });
  return {
    detail: (job) => detail(job).catch(() => undefined),
    async job(job) {
      const shown = await detail(job);
      const history = await desk.json("listEvents", { path: { job }, signal: signal() });
      if (shown === undefined || history === undefined) throw new Error(`${job} is not known`);
      return {
        detail: shown,
        events: history.events,
        async log(log) {
          const answer = await desk.bytes("readLog", { path: { job, log }, signal: signal() });
          return await text(answer.body);
        },
        async artifacts() {
          const list = await desk.json("listArtifacts", { path: { job }, signal: signal() });
          return Object.fromEntries(
            (list?.artifacts ?? []).map(({ path, sha256 }) => [path, sha256]),
          );
        },
      };
    },
  };
}
