import type { JobDetail, JobEvent } from "#protocol/job-view.ts";
import { wrongWithCount } from "./counting.ts";
import { attemptsOf, type DrilledJob } from "./expected.ts";

/** What a service tells of a job that is over. */
export type ToldJob = {
  readonly detail: JobDetail;
  readonly events: readonly JobEvent[];
  log(name: string): Promise<string>;
  /** Digests of what it keeps, by path. */
  artifacts(): Promise<Readonly<Record<string, string>>>;
};

/** What must hold of each job after every drill, by the numbers of the list of faults. Each says what is wrong, or nothing. */
const OF_A_JOB: Readonly<
  Record<string, (job: DrilledJob, told: ToldJob) => Promise<readonly string[]>>
> = {
  "V1 no job is lost": async (_, { detail }) =>
    detail.state === "settled" ? [] : [`it is ${detail.state}`],

  "V2 one attempt after the other": async (_, { events }) => {
    let open = 0;
    return events.flatMap(({ kind, attempt }) => {
      if (kind === "leased") open += 1;
      if (kind === "ended" || kind === "fenced") open -= 1;
      return open > 1 ? [`attempt ${attempt} began before the one before it had ended`] : [];
    });
  },

  "V3 one verdict for each attempt": async ({ expected }, { detail, events }) => {
    const wanted = attemptsOf(expected).length;
    const made = detail.attemptList.length;
    const ended = events.filter(({ kind }) => kind === "ended" || kind === "fenced").length;
    const settled = events.filter(({ kind }) => kind === "settled").length;
    return [
      ...(made === wanted ? [] : [`${made} attempts instead of ${wanted}: ${story(events)}`]),
      ...(ended === made ? [] : [`${ended} ends of ${made} attempts: ${story(events)}`]),
      ...(settled === 1 ? [] : [`settled ${settled} times: ${story(events)}`]),
    ];
  },

  "V5 the right verdict, and the right blame": async ({ expected }, { detail }) => {
    const wrong = detail.verdict === expected.verdict ? [] : [`the job is ${detail.verdict}`];
    const attempts = attemptsOf(expected).map(({ kind, code, blame, isFenced }, at) => {
      const { verdict, state } = detail.attemptList[at] ?? {};
      const fault = verdict?.fault;
      const isRight =
        (isFenced === true) === (state === "fenced") &&
        (isFenced || verdict?.kind === kind) &&
        (code === undefined || fault?.code === code) &&
        (blame === undefined || fault?.blame === blame);
      return isRight ? [] : [`attempt ${at + 1} is ${state}, ${JSON.stringify(verdict)}`];
    });
    return [...wrong, ...attempts.flat()];
  },

  "V6 logs are exact": async ({ expected }, { log }) => {
    const { counting, extent = "whole", logs = {} } = expected;
    const ofCount = counting && wrongWithCount(await log("step-1"), counting, extent);
    const others = await Promise.all(
      Object.entries(logs).map(async ([name, text]) => {
        const got = await log(name);
        return got === text ? [] : [`${name} is ${JSON.stringify(got.slice(0, 200))}`];
      }),
    );
    return [...(ofCount === undefined ? [] : [ofCount]), ...others.flat()];
  },

  "V6 artifacts are exact": async ({ expected }, { artifacts }) => {
    if (expected.artifacts === undefined) return [];
    const got = await artifacts();
    return Object.entries(expected.artifacts).flatMap(([path, sha256]) =>
      got[path] === sha256 ? [] : [`${path} is ${got[path]} and not ${sha256}`],
    );
  },

  "V5 evidence is there": async (_, { detail, log }) => {
    const { attemptList } = detail;
    const last = attemptList.at(-1);
    if (last?.report === undefined) return [];
    const phases = last.report.phases.map(({ phase }) => phase);
    const wantsConsole = phases.includes("connecting");
    const output = await log("output");
    return [
      ...(output === "" ? ["there is no output log"] : []),
      ...(wantsConsole && !last.report.logs.some((one) => one.log === "console")
        ? ["there is no console log"]
        : []),
    ];
  },
};

/** What is wrong with a job that is over: each with the invariant that it breaks. */
export async function wrongWithJob(job: DrilledJob, told: ToldJob): Promise<readonly string[]> {
  const all = Object.entries(OF_A_JOB).map(async ([name, check]) => {
    const wrong = await check(job, told);
    return wrong.map((what) => `${name}: job ${job.id}: ${what}`);
  });
  return (await Promise.all(all)).flat();
}

function story(events: readonly JobEvent[]): string {
  return events.map(({ kind, attempt, says }) => `${kind} ${attempt ?? ""} ${says}`).join("; ");
}
