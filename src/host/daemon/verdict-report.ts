import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { AttemptReport } from "#host/runner/attempt.ts";
import { RESULT_NAMES } from "#host/runner/results-folder.ts";
import type { Evidence, Fault } from "#job/fault.ts";
import { reportOf, type Verdict } from "#job/verdict.ts";
import { printable } from "#lib/printable.ts";
import type { VerdictReport, WireVerdict } from "#protocol/verdict.ts";
import { logSizes, logsOf } from "./attempt-logs.ts";
import type { AttemptFolder } from "./ports.ts";

/** What fits into a reason on the wire, once unprintable characters are written out. */
export const WHY_CHARACTERS_MAX = 200;

/** What was refused beyond this many is not told. */
export const REFUSED_MAX = 1000;

const ARTIFACTS_MAX = 10_000;
const MESSAGE_CHARACTERS_MAX = 8000;
const STAGE_CHARACTERS_MAX = 200;
const EVIDENCE_KEYS_MAX = 32;
const EVIDENCE_KEY_CHARACTERS_MAX = 64;
const EVIDENCE_CHARACTERS_MAX = 16_000;
const EVIDENCE_LINES_MAX = 200;

/** What the service is told of an attempt that is over. All that a guest had a hand in is cut to what the wire takes. */
export async function verdictReport(
  folder: AttemptFolder,
  report: AttemptReport,
  durationMs: number,
): Promise<VerdictReport> {
  const { artifacts, refused, phases, steps, image, acceleration } = report;
  const screenshot = await digestOf(join(folder.results, RESULT_NAMES.screenshot));
  const surplus = artifacts.slice(ARTIFACTS_MAX).map(({ path }) => ({
    name: path,
    why: `the service takes at most ${ARTIFACTS_MAX} artifacts of an attempt`,
  }));
  return {
    verdict: wireVerdict(report.verdict),
    durationMs: Math.round(durationMs),
    phases: phases.map(({ phase, durationMs: took }) => ({ phase, durationMs: took })),
    steps: steps.map((step) => ({ ...step })),
    artifacts: artifacts.slice(0, ARTIFACTS_MAX).map((artifact) => ({ ...artifact })),
    refused: [...refused, ...surplus].slice(0, REFUSED_MAX).map(({ name, why }) => ({
      name: clip(name, 1000),
      why: printable(why, WHY_CHARACTERS_MAX),
    })),
    logs: [...(await logSizes(logsOf(folder)))],
    ...(screenshot === undefined ? {} : { screenshot }),
    ...(image === undefined ? {} : { image }),
    ...(acceleration === undefined ? {} : { acceleration }),
  };
}

/** The report of an attempt that never came to a machine, or whose daemon is gone: a fault, and what there is of logs. */
export async function faultReport(
  folder: AttemptFolder,
  fault: Fault,
  durationMs: number,
): Promise<VerdictReport> {
  return {
    verdict: wireVerdict({ kind: "broken", fault: reportOf(fault) }),
    durationMs: Math.max(0, Math.round(durationMs)),
    phases: [],
    steps: [],
    artifacts: [],
    refused: [],
    logs: [...(await logSizes(logsOf(folder)))],
  };
}

function wireVerdict(verdict: Verdict): WireVerdict {
  if (verdict.kind === "passed") return { kind: "passed" };
  if (verdict.kind !== "broken")
    return { kind: verdict.kind, why: clip(verdict.why, MESSAGE_CHARACTERS_MAX) };
  const { code, blame, retry, stage, message, evidence } = verdict.fault;
  return {
    kind: "broken",
    fault: {
      code,
      blame,
      retry,
      ...(stage === undefined ? {} : { stage: clip(stage, STAGE_CHARACTERS_MAX) }),
      message: clip(message, MESSAGE_CHARACTERS_MAX),
      evidence: wireEvidence(evidence),
    },
  };
}

function wireEvidence(evidence: Evidence): NonNullable<WireVerdict["fault"]>["evidence"] {
  const entries = Object.entries(evidence).slice(0, EVIDENCE_KEYS_MAX);
  return Object.fromEntries(
    entries.map(([key, value]) => [key.slice(0, EVIDENCE_KEY_CHARACTERS_MAX), wireValue(value)]),
  );
}

function wireValue(value: Evidence[string]): string | number | boolean | string[] {
  if (typeof value === "string") return clip(value, EVIDENCE_CHARACTERS_MAX);
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value === "boolean") return value;
  return value.slice(0, EVIDENCE_LINES_MAX).map((line) => clip(line, EVIDENCE_CHARACTERS_MAX));
}

/** Without NUL characters and lone surrogates, which the wire does not take. */
function clip(text: string, charactersMax: number): string {
  return text.slice(0, charactersMax).replaceAll("\0", "?").toWellFormed();
}

async function digestOf(path: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  return await pipeline(createReadStream(path), hash).then(
    () => hash.digest("hex"),
    () => undefined,
  );
}
