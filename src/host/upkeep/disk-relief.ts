import { type ChoreReport, few } from "./chore.ts";
import type { Disk, Evidence, Leftover, Remains } from "./ports.ts";

/** How much is to be free. */
export type Marks = {
  /** Below it no work begins, and what nobody waits for goes. */
  readonly reserveBytes: number;
  /** Below it what the service still waits for goes, too: a host whose disk is full breaks what runs. */
  readonly lowBytes: number;
};

/** Of a log that is cut so much is left: how it began is what the service shows at least. */
export const KEPT_LOG_BYTES = 64 * 1024;

/** A log that is not much longer is not worth a cut. */
const CUT_LOG_BYTES_MIN = 2 * KEPT_LOG_BYTES;

/** One thing that can go. */
type Sacrifice = { readonly what: string; readonly free: () => Promise<number> };

/** What goes while less than `below` is free, in which order. */
type Stage = {
  readonly name: string;
  readonly below: keyof Marks;
  of(evidence: Evidence, remains: readonly Remains[]): AsyncIterable<Sacrifice>;
};

/**
 * The order in which a short disk is relieved, one thing after the other until enough is free:
 *
 *     below the reserve   inputs of finished attempts: the service has them
 *                         evidence that is set aside, oldest first: nobody waits for it
 *     below the low mark  logs of finished attempts, longest first: cut after their beginning
 *                         artifacts of finished attempts, oldest attempt first and in it the longest first
 *     never               verdicts, leases, journals, screenshots, anything of an attempt that runs
 *
 * The report of an attempt names what is missing of it, and why.
 */
const STAGES: readonly Stage[] = [
  {
    name: "inputs",
    below: "reserveBytes",
    async *of(evidence, remains) {
      for (const { name } of inState(remains, "finished"))
        yield { what: name, free: () => evidence.dropInputs(name) };
    },
  },
  {
    name: "evidence",
    below: "reserveBytes",
    async *of(evidence, remains) {
      for (const { name } of inState(remains, "aside"))
        yield { what: name, free: () => evidence.remove(name) };
    },
  },
  {
    name: "logs",
    below: "lowBytes",
    async *of(evidence, remains) {
      const logs: (Leftover & { readonly of: string })[] = [];
      for (const { name } of inState(remains, "finished"))
        logs.push(...(await evidence.logs(name)).map((log) => ({ ...log, of: name })));
      // Sorting is stable: of two that are as long the older attempt's goes first.
      const longestFirst = logs
        .filter(({ bytes }) => bytes >= CUT_LOG_BYTES_MIN)
        .toSorted((a, b) => b.bytes - a.bytes);
      for (const log of longestFirst)
        yield { what: `${log.of} ${log.name}`, free: () => evidence.cutLog(log, KEPT_LOG_BYTES) };
    },
  },
  {
    name: "artifacts",
    below: "lowBytes",
    async *of(evidence, remains) {
      for (const { name } of inState(remains, "finished")) {
        const files = (await evidence.artifacts(name)).toSorted((a, b) => b.bytes - a.bytes);
        for (const file of files)
          yield { what: `${name} ${file.name}`, free: () => evidence.dropArtifact(file) };
      }
    },
  },
];

function inState(remains: readonly Remains[], state: Remains["state"]): readonly Remains[] {
  return remains.filter((one) => one.state === state).toSorted((a, b) => a.sinceMs - b.sinceMs);
}

/** The chore: looks at the disk, and relieves it when it is short. Twice is safe. */
export async function relieveDisk(
  { disk, evidence }: { readonly disk: Disk; readonly evidence: Evidence },
  marks: Marks,
  signal: AbortSignal,
): Promise<ChoreReport> {
  let freeBytes = await disk.freeBytes();
  const before = freeBytes;
  if (freeBytes >= marks.reserveBytes) return { isNews: false, fields: { freeBytes } };
  const remains = await evidence.list();
  const went = new Map<string, { count: number; named: readonly string[] }>();
  for (const stage of STAGES) {
    if (freeBytes >= marks[stage.below]) continue;
    for await (const { what, free } of stage.of(evidence, remains)) {
      signal.throwIfAborted();
      if ((await free()) === 0) continue;
      const { count, named } = went.get(stage.name) ?? { count: 0, named: [] };
      went.set(stage.name, { count: count + 1, named: few([...named, what]) });
      freeBytes = await disk.freeBytes();
      if (freeBytes >= marks[stage.below]) break;
    }
  }
  return {
    // While it is short and nothing may go, that is said again only when what runs is in danger.
    isNews: went.size > 0 || freeBytes < marks.lowBytes,
    fields: {
      freeBytes,
      freedBytes: Math.max(0, freeBytes - before),
      isShort: freeBytes < marks.reserveBytes,
      ...Object.fromEntries(went),
    },
  };
}
