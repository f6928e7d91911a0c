import { relative } from "node:path";
import type { Screen, Tone } from "#host/narration/screen.ts";
import { FAULTS, type FaultCode } from "#job/fault.ts";
import { printable } from "#lib/printable.ts";
import { TerminalText } from "#lib/terminal-text.ts";
import { bytesInWords, durationInWords } from "#lib/words.ts";
import type { VerdictDocument } from "./verdict-schema.ts";

const LISTED_MAX = 5;
const EVIDENCE_LINES_MAX = 12;
const MESSAGE_CHARACTERS_MAX = 2_000;

const BLAMED = {
  job: "the job's",
  image: "the image's",
  host: "this host's",
  service: "the job service's",
  operator: "for the operator to mend",
} as const;

/** The last lines of a run: how it ended, whose fault, what to try, and where everything is. */
export function summarize(screen: Screen, document: VerdictDocument): void {
  const { verdict, artifacts, refused, leaks, kept } = document;
  const { fault } = verdict;
  if (fault !== undefined) explain(screen, fault);
  for (const { name, why } of refused.slice(0, LISTED_MAX)) {
    screen.line(`artifact refused: ${printable(name, 100)}: ${printable(why)}`, "note");
  }
  if (refused.length > LISTED_MAX) {
    screen.line(`${refused.length - LISTED_MAX} more artifacts refused, see verdict.json`, "note");
  }
  for (const leak of leaks)
    screen.line(`left behind: ${printable(leak)}; the next run sweeps it`, "bad");
  if (kept !== undefined) {
    screen.line(`the machine is still running at ${kept.address ?? "an unknown address"}`, "note");
    screen.line(`enter it:   testbed ssh ${kept.name}`);
    screen.line(`destroy it: testbed destroy ${kept.name}`);
  }
  const size = artifacts.reduce((sum, { bytes }) => sum + bytes, 0);
  if (artifacts.length > 0) {
    screen.line(`artifacts: ${artifacts.length}, ${bytesInWords(size)}`);
  }
  screen.line(`results: ${printable(shortest(document.results), 1000)}`);
  screen.line(ending(document), TONES[document.verdict.kind]);
}

/** A path as people would type it here. */
function shortest(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere === "" || fromHere.startsWith("..") ? path : fromHere;
}

const TONES: Readonly<Record<VerdictDocument["verdict"]["kind"], Tone>> = {
  passed: "good",
  failed: "bad",
  "timed-out": "bad",
  cancelled: "note",
  broken: "bad",
};

function ending({ verdict, durationMs }: VerdictDocument): string {
  const { kind, why, fault } = verdict;
  const because =
    fault === undefined ? why : `${FAULTS[fault.code as FaultCode].says} (${fault.code})`;
  const words = because === undefined ? "" : `: ${printable(because)}`;
  return `${kind.replace("-", " ")}${words} after ${durationInWords(durationMs)}`;
}

/** A fault with its message, its stage, whose it is, and the end of its evidence; `host` says which host that was. */
export function explain(
  screen: Screen,
  fault: Pick<
    NonNullable<VerdictDocument["verdict"]["fault"]>,
    "message" | "stage" | "blame" | "evidence"
  >,
  host: string = BLAMED.host,
): void {
  for (const line of fault.message.slice(0, MESSAGE_CHARACTERS_MAX).split("\n")) {
    screen.line(printable(line, MESSAGE_CHARACTERS_MAX), "bad");
  }
  const stage = fault.stage === undefined ? "" : `at: ${printable(fault.stage)}, `;
  screen.line(`${stage}fault: ${fault.blame === "host" ? host : BLAMED[fault.blame]}`);
  for (const [name, value] of Object.entries(fault.evidence)) {
    const lines = harmless(Array.isArray(value) ? value.join("\n") : String(value));
    if (lines.length === 0) continue;
    if (lines.length === 1) screen.line(`${printable(name, 60)}: ${printable(lines[0] ?? "")}`);
    else {
      screen.line(`${printable(name, 60)}:`);
      screen.guest(`${lines.slice(-EVIDENCE_LINES_MAX).join("\n")}\n`);
    }
  }
}

/** Evidence may be what a guest wrote on its console. */
function harmless(text: string): readonly string[] {
  const stream = new TerminalText();
  const shown = stream.push(new TextEncoder().encode(text)) + stream.end();
  return shown.split("\n").filter((line) => line.trim() !== "");
}
