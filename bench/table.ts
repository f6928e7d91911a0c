import type { Amount, Comparison } from "./goal.ts";
import type { Finding, Part, Report } from "./report.ts";

type Row = readonly string[];

const COLUMNS = ["", "against", "ours", "theirs", "ratio (min..max)", "target", ""] as const;

/** The report for people: one table for each part, a summary below. */
export function table(report: Report): string {
  const { met, missed } = report.targets;
  const { cpus, kernel, node, openssh } = report.host;
  return [
    `${cpus} cores, Linux ${kernel}, Node.js ${node}, ${openssh}; ${report.startedAt}`,
    "time: ours / theirs, less is better. speed: theirs / ours, more is better. Medians of pairs taken in turns.",
    ...report.parts.filter(({ findings }) => findings.length > 0).map(partTable),
    `${met} targets met, ${missed} missed, in ${Math.round(report.durationMs / 1000)} s`,
    "",
  ].join("\n\n");
}

function partTable({ part, title, findings }: Part): string {
  return [`(${part}) ${title}`, ...lines([COLUMNS, ...findings.flatMap(findingRows)])].join("\n");
}

function findingRows({ name, comparisons, amounts, rounds, noisyRounds }: Finding): Row[] {
  const count =
    rounds === 0 ? "" : `${rounds} rounds${noisyRounds === 0 ? "" : `, ${noisyRounds} noisy`}`;
  return [[name, count], ...comparisons.map(comparisonRow), ...amounts.map(amountRow)];
}

function comparisonRow({
  side,
  against,
  of,
  oursMs,
  theirsMs,
  ratio,
  limit,
  isMet,
}: Comparison): Row {
  return [
    `  ${side}`,
    against,
    milliseconds(oursMs),
    milliseconds(theirsMs),
    `${of} ${figures(ratio.median)} (${figures(ratio.min)}..${figures(ratio.max)})`,
    limit === undefined ? "" : `${of === "time" ? "≤" : "≥"} ${figures(limit)}`,
    verdict(isMet),
  ];
}

function amountRow({ what, unit, value, limit, isMet, isMoreBetter }: Amount): Row {
  const inUnit = unit === "" ? "" : ` ${unit}`;
  const range = value.min === value.max ? "" : ` (${figures(value.min)}..${figures(value.max)})`;
  return [
    `  ${what}`,
    "",
    `${figures(value.median)}${inUnit}${range}`,
    "",
    "",
    limit === undefined ? "" : `${isMoreBetter === true ? "≥" : "≤"} ${figures(limit)}${inUnit}`,
    verdict(isMet),
  ];
}

function verdict(isMet: boolean | undefined): string {
  if (isMet === undefined) return "";
  return isMet ? "met" : "MISSED";
}

function milliseconds(ms: number): string {
  return `${figures(ms)} ms`;
}

/** Three figures, which is more than any of this is good for. */
function figures(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(value < 1 ? 2 : 3)));
}

/** Pads cells to columns. */
function lines(rows: readonly Row[]): string[] {
  const widths = COLUMNS.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
