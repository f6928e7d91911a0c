import { outcomeInWords } from "#host/narration/outcome.ts";
import { printable } from "#lib/printable.ts";
import { bytesInWords, durationInWords } from "#lib/words.ts";
import type { AttemptView, JobDetail, JobEvent } from "#protocol/job-view.ts";
import { ageOf, between } from "./ages.ts";
import { type Column, tableOf } from "./columns.ts";
import { type Fact, factsOf } from "./facts.ts";
import { shortDigests } from "./short-digests.ts";
import { stateInWords } from "./state-words.ts";

/** All about a job for people, in sections divided by empty lines. */
export function jobInWords(
  job: JobDetail,
  events: readonly JobEvent[],
  widthMax: number | undefined,
): string {
  const attempts =
    job.attemptList.length === 0 ? [] : [tableOf(ATTEMPTS, job.attemptList, widthMax)];
  const last = job.attemptList.at(-1);
  const steps = last?.report?.steps ?? [];
  const refused = last?.report?.refused ?? [];
  return [
    factsOf(facts(job)),
    ...attempts,
    ...(steps.length === 0 ? [] : [tableOf(STEPS, steps, widthMax)]),
    ...(refused.length === 0 ? [] : [tableOf(REFUSED, refused, widthMax)]),
    ...faultOf(last),
    tableOf(EVENTS, events),
  ].join("\n");
}

function facts(job: JobDetail): readonly Fact[] {
  const { waiting, cancel, pinned, why, labels, queueLimitSeconds } = job;
  return [
    ["job", job.id],
    ["name", job.name],
    ["state", stateText(job)],
    ["why", why],
    ["waits", waiting && `${waiting.says}${placeText(waiting.position)}`],
    ["cancel", cancel],
    ["image", job.image],
    ["pinned to", pinned && shortDigests(`${pinned.name}@sha256:${pinned.digest}`)],
    ["labels", labels.length === 0 ? undefined : labels.join(", ")],
    ["owner", job.owner],
    ["priority", job.priority === 0 ? undefined : String(job.priority)],
    ["attempts", `${job.attempts} of ${job.attemptsMax}`],
    ["queue limit", queueLimitSeconds ? durationInWords(queueLimitSeconds * 1000) : undefined],
    ["submitted", `${ageOf(job.submittedAt)} ago (${job.submittedAt})`],
  ];
}

function placeText(position: number): string {
  if (position === 1) return "";
  return position === 1000
    ? "; more than 999 of its kind first"
    : `; ${position - 1} of its kind first`;
}

function stateText(job: JobDetail): string {
  const words = stateInWords(job);
  if (job.state === "queued") return words;
  const where = job.host === undefined ? "" : ` on ${job.host}`;
  if (job.startedAt === undefined) return words;
  const took = between(job.startedAt, job.settledAt);
  return job.state === "settled"
    ? `${words}${where} after ${took}`
    : `${words}${where} for ${took}`;
}

const ATTEMPTS: readonly Column<AttemptView>[] = [
  { head: "ATTEMPT", cell: ({ number }) => String(number), isRight: true },
  { head: "HOST", cell: ({ host }) => host, least: 8 },
  { head: "STATE", cell: ({ state, phase }) => (state === "live" ? phase : state) },
  { head: "TOOK", cell: ({ leasedAt, endedAt }) => between(leasedAt, endedAt), isRight: true },
  { head: "VERDICT", cell: verdictText, least: 10 },
];

function verdictText({ verdict, why }: AttemptView): string {
  if (why !== undefined) return `lost: ${why}`;
  if (verdict === undefined) return "-";
  const because = verdict.fault?.code ?? verdict.why;
  return because === undefined || because === "" ? verdict.kind : `${verdict.kind}: ${because}`;
}

type Report = NonNullable<AttemptView["report"]>;

const STEPS: readonly Column<Report["steps"][number]>[] = [
  { head: "STEP", cell: ({ name }) => name, least: 10 },
  { head: "TOOK", cell: ({ durationMs }) => durationInWords(durationMs), isRight: true },
  { head: "LOG", cell: ({ logBytes }) => bytesInWords(logBytes), isRight: true },
  {
    head: "OUTCOME",
    cell: ({ outcome, exitCode, signal, ...rest }) =>
      outcomeInWords({
        ...rest,
        outcome,
        ...(exitCode === undefined ? {} : { exitCode }),
        ...(signal === undefined ? {} : { signal }),
      }),
  },
];

const REFUSED: readonly Column<Report["refused"][number]>[] = [
  { head: "ARTIFACT REFUSED", cell: ({ name }) => name, least: 20 },
  { head: "WHY", cell: ({ why }) => why, least: 20 },
];

function faultOf(attempt: AttemptView | undefined): readonly string[] {
  const fault = attempt?.verdict?.fault;
  if (fault === undefined) return [];
  const stage = fault.stage === undefined ? "" : ` at ${printable(fault.stage)}`;
  const message = fault.message.split("\n").map((line) => `  ${printable(line, 1000)}\n`);
  return [`fault ${printable(fault.code)}${stage}, blame: ${fault.blame}\n${message.join("")}`];
}

const EVENTS: readonly Column<JobEvent>[] = [
  { head: "WHEN", cell: ({ at }) => `${ageOf(at)} ago`, isRight: true },
  {
    head: "WHAT",
    cell: ({ kind, host, says }) => (kind === "phase" ? `${says} on ${host}` : shortDigests(says)),
  },
];
