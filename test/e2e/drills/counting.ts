import { createHash } from "node:crypto";

/** Steps whose log is known byte for byte before they run: one numbered line each tenth of a second. */
export type Counting = { readonly lines: number; readonly exitCode?: number };

/** The step. What it prints is `counted`, once and in order, when it ran once and nothing was lost. */
export function countingStep({ lines, exitCode = 0 }: Counting, name = "count") {
  const loop = `n=0; while [ $n -lt ${lines} ]; do n=$((n+1)); echo "line $n of ${lines}"; sleep 0.1; done`;
  return { name, run: `${loop}; exit ${exitCode}` };
}

/** The step's whole log. */
export function counted({ lines }: Counting): string {
  return Array.from({ length: lines }, (_, at) => `line ${at + 1} of ${lines}\n`).join("");
}

/** What is wrong with a log that should be the whole one, or a part of it from its beginning on; undefined when nothing is. */
export function wrongWithCount(
  log: string,
  counting: Counting,
  extent: "whole" | "part",
): string | undefined {
  const whole = counted(counting);
  if (extent === "whole" ? log === whole : whole.startsWith(log)) return undefined;
  const got = log.split("\n");
  const at = whole.split("\n").findIndex((line, index) => got[index] !== line);
  return `${log.length} bytes of ${whole.length}, other than they should be from line ${at + 1}: ${JSON.stringify(got.slice(at, at + 2))}`;
}

/** A digest as artifacts have it. */
export function digestOf(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}
