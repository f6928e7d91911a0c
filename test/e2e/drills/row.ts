import type { MachineStage, StageOptions } from "./machine-stage.ts";
import type { PaperStage } from "./paper-stage.ts";

/**
 * A test elsewhere that proves a row: the file, and the whole name that the test has when it runs. In it `*` stands for anything, and then
 * all tests that it fits must pass, and one at least must be there.
 */
type Proof = { readonly file: string; readonly test: string };

/** What is done about a row: a drill, a test elsewhere, or nothing, and then why. */
type Deed =
  /** Real machines under emulation, the installed command line, a libvirtd of our own. */
  | {
      readonly machines: (stage: MachineStage) => Promise<void>;
      readonly lab?: StageOptions;
    }
  /** The real daemon and the real service, on a real socket, with machines and guests on paper. */
  | { readonly fakes: (stage: PaperStage) => Promise<void> }
  | { readonly provenBy: readonly Proof[]; readonly where: Where }
  | { readonly notTried: string };

export type Where = "machines" | "fakes" | "both";

/** A fault in a phase. A fault that is drilled in several phases has a row for each. */
export type Row = {
  /** As the list of faults counts them. */
  readonly id: string;
  readonly phase: string;
  readonly fault: string;
  /** Also part of npm test. */
  readonly isCore?: true;
} & Deed;

/** What a row is called as a test, and in the table. */
export function titleOf({ id, phase, fault }: Row): string {
  return `${id} [${phase}] ${fault}`;
}

/** Where a row is tried, in a word. */
export function whereOf(row: Row): Where | "not tried" {
  if ("machines" in row) return "machines";
  if ("fakes" in row) return "fakes";
  return "provenBy" in row ? row.where : "not tried";
}
