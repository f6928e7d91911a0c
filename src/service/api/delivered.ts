import type { VerdictReport } from "#protocol/verdict.ts";
import { Refusal } from "./refusal.ts";
import type { Rooms } from "./rooms.ts";

/** Files that are looked at at once. */
const AT_ONCE = 16;

/** Digests that a refusal names. */
const TOLD_MAX = 100;

type Attempt = { readonly jobId: string; readonly attempt: number };

/** Whether a report names anything that has to be here. */
export function namesFiles({ artifacts, logs, screenshot }: VerdictReport): boolean {
  return artifacts.length > 0 || screenshot !== undefined || logs.some(({ bytes }) => bytes > 0);
}

/**
 * Refuses a report that names logs or artifacts which are not here whole. A host delivers before it reports, and lets go of what
 * it has when the report is taken: taking such a report would lose them.
 */
export async function demandDelivered(
  rooms: Pick<Rooms, "logs" | "contents">,
  { jobId, attempt }: Attempt,
  report: VerdictReport,
): Promise<void> {
  const shortLog = await firstShortLog(rooms, { jobId, attempt }, report);
  if (shortLog !== undefined) throw new Refusal("not-delivered", { detail: shortLog });
  const wanted = new Map<string, number | undefined>();
  if (report.screenshot !== undefined) wanted.set(report.screenshot, undefined);
  for (const { sha256, bytes } of report.artifacts) {
    const before = wanted.get(sha256);
    if (before !== undefined && before !== bytes)
      throw new Refusal("not-delivered", { detail: `two lengths are told of ${sha256}` });
    wanted.set(sha256, bytes);
  }
  const missing: string[] = [];
  const all = [...wanted];
  for (let at = 0; at < all.length; at += AT_ONCE) {
    const some = all.slice(at, at + AT_ONCE).map(async ([sha256, bytes]) => {
      const have = await rooms.contents.have({ kind: "artifact", jobId, attempt, sha256 });
      const isHere = have.isComplete && (bytes === undefined || have.haveBytes === bytes);
      if (!isHere) missing.push(sha256);
    });
    await Promise.all(some);
  }
  if (missing.length === 0) return;
  const detail = `${missing.length} of the artifacts that the report names are not here, or have another length: deliver them, then report`;
  throw new Refusal("not-delivered", { detail, missing: missing.slice(0, TOLD_MAX) });
}

async function firstShortLog(
  { logs }: Pick<Rooms, "logs">,
  { jobId, attempt }: Attempt,
  report: VerdictReport,
): Promise<string | undefined> {
  const there = await logs.sizes(jobId, attempt);
  const short = report.logs.find(({ log, bytes }) => (there.get(log) ?? 0) < bytes);
  if (short === undefined) return undefined;
  return `log ${short.log} has ${short.bytes} bytes by the report, and ${there.get(short.log) ?? 0} are here: deliver them, then report`;
}
