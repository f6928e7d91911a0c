import type { Amount, Comparison } from "./goal.ts";

/** Everything that was found out about one piece of work. */
export type Finding = {
  readonly name: string;
  readonly comparisons: readonly Comparison[];
  readonly amounts: readonly Amount[];
  /** Rounds that began while others kept the machine busy, of all. */
  readonly noisyRounds: number;
  readonly rounds: number;
};

export type Part = {
  /** Its name on the command line. */
  readonly part: string;
  readonly title: string;
  readonly findings: readonly Finding[];
};

/** The document that `--json` prints. */
export type Report = {
  readonly startedAt: string;
  readonly durationMs: number;
  readonly host: {
    readonly cpus: number;
    readonly kernel: string;
    readonly node: string;
    readonly openssh: string;
  };
  readonly parts: readonly Part[];
  readonly targets: { readonly met: number; readonly missed: number };
};

/** How many targets were met and missed. */
export function targetsOf(parts: readonly Part[]): Report["targets"] {
  const judged = parts
    .flatMap(({ findings }) => findings)
    .flatMap(({ comparisons, amounts }) => [...comparisons, ...amounts])
    .filter(({ isMet }) => isMet !== undefined);
  const met = judged.filter(({ isMet }) => isMet === true).length;
  return { met, missed: judged.length - met };
}
