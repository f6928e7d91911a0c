import { durationInWords } from "#lib/words.ts";
import type { SoakOrder } from "./order.ts";

/** What a soak came to. */
export type SoakSummary = {
  readonly name: string;
  readonly order: SoakOrder;
  readonly durationMs: number;
  /** Who was killed how often. */
  readonly killed: Readonly<Record<string, number>>;
  /** How many jobs ended how. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly attempts: number;
  readonly logBytes: number;
  /** Of the daemon when the first tenth of the jobs was over, and at the end. */
  readonly daemonMiB?: readonly [number, number];
  readonly wrong: readonly string[];
};

/** For people, and to be quoted. */
export function inWords(summary: SoakSummary): string {
  const { name, order, durationMs, killed, verdicts, attempts, logBytes, daemonMiB, wrong } =
    summary;
  const counts = (all: Readonly<Record<string, number>>) =>
    Object.entries(all)
      .map(([what, count]) => `${count} ${what}`)
      .join(", ");
  const total = Object.values(killed).reduce((sum, one) => sum + one, 0);
  return [
    `soak ${name}, seed ${order.seed}: ${wrong.length === 0 ? "survived" : "FAILED"} after ${durationInWords(durationMs)}`,
    `kills: ${total} (${counts(killed)})`,
    `jobs: ${order.jobs}, ${order.atOnce} at once: ${counts(verdicts)}; ${attempts} attempts`,
    `logs: ${logBytes} bytes, each compared with what was printed`,
    ...(daemonMiB === undefined
      ? []
      : [`daemon: ${daemonMiB[0]} MiB early, ${daemonMiB[1]} MiB at the end`]),
    ...wrong.map((what) => `wrong: ${what}`),
    "",
  ].join("\n");
}
