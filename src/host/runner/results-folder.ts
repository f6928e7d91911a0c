import { join } from "node:path";

/** Every name in a results folder, whatever the job did. `verdict.json` is written last, by who asked for the attempt. */
export const RESULT_NAMES = {
  verdict: "verdict.json",
  steps: "steps",
  artifacts: "artifacts",
  console: "console.log",
  /** Only of machines that broke while they booted, and only when they have a screen. */
  screenshot: "screenshot.png",
} as const;

const NAME_LENGTH_MAX = 64;

/** Where a step's log goes: its number, and its name with everything but plain characters replaced. */
export function stepLogPath(resultsFolder: string, number: number, name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9._-]+/g, "-").slice(0, NAME_LENGTH_MAX);
  return join(resultsFolder, RESULT_NAMES.steps, `${String(number).padStart(2, "0")}-${plain}.log`);
}
