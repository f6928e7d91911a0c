import { cpus, release } from "node:os";
import { isInstalled } from "#lib/programs.ts";
import { answerAlone } from "./alone.ts";
import {
  type Arguments,
  ArgumentsError,
  HELP,
  PARTS,
  type PartName,
  readArguments,
} from "./arguments.ts";
import { opensshVersion } from "./openssh.ts";
import type { MeasurePart } from "./part.ts";
import { measureGuest } from "./part-guest.ts";
import { measureLoopback } from "./part-loopback.ts";
import { measureService } from "./part-service.ts";
import { measureStart } from "./part-start.ts";
import { type Finding, type Part, type Report, targetsOf } from "./report.ts";
import { table } from "./table.ts";

const MEASURE: Readonly<Record<PartName, MeasurePart>> = {
  a: measureStart,
  b: measureLoopback,
  c: measureGuest,
  service: measureService,
};

/** Programs that a part cannot do without and that a host which only runs jobs need not have. */
const NEEDS: Readonly<Record<PartName, readonly string[]>> = {
  a: [],
  b: ["sshd"],
  c: [],
  service: ["psql", "setpriv"],
};

const EXIT = { done: 0, missed: 1, usage: 2, broken: 3, cancelled: 130 } as const;

const cancel = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.once(name, () => {
    say(`${name}: cleaning up`);
    cancel.abort(new Error(`ended by ${name}`));
  });
}

// An SSH client whose server is gone keeps its socket, and with it the process, until the kernel gives up on it.
process.exit(await main());

async function main(): Promise<number> {
  try {
    const args = readArguments(process.argv.slice(2));
    if (args.isHelp) await print(HELP);
    else if (args.isAlone) await print(JSON.stringify(await answerAlone(cancel.signal)));
    else return await bench(args);
    return EXIT.done;
  } catch (error) {
    if (cancel.signal.aborted) return EXIT.cancelled;
    say(error instanceof ArgumentsError ? error.message : String((error as Error).stack));
    return error instanceof ArgumentsError ? EXIT.usage : EXIT.broken;
  }
}

async function bench({ parts, pairs, isJson, isStrict }: Arguments): Promise<number> {
  for (const program of parts.flatMap((part) => NEEDS[part])) {
    if (await isInstalled(program)) continue;
    say(`${program} is not installed; 'setup/packages test bench' installs it`);
    return EXIT.broken;
  }
  const startedAt = new Date().toISOString();
  const startedMs = performance.now();
  const openssh = await opensshVersion(cancel.signal);
  const measured = parts.map((part): Measured => ({ part, title: PARTS[part], findings: [] }));
  const failure = await measureAll(measured, pairs).catch((error: unknown) => error);
  const report: Report = {
    startedAt,
    durationMs: Math.round(performance.now() - startedMs),
    host: { cpus: cpus().length, kernel: release(), node: process.versions.node, openssh },
    parts: measured,
    targets: targetsOf(measured),
  };
  const isNothing = measured.every(({ findings }) => findings.length === 0);
  if (!isNothing) await print(isJson ? `${JSON.stringify(report, null, 2)}\n` : table(report));
  if (failure !== undefined) throw failure;
  return isStrict && report.targets.missed > 0 ? EXIT.missed : EXIT.done;
}

type Measured = Part & { readonly part: PartName; readonly findings: Finding[] };

async function measureAll(measured: readonly Measured[], pairs: number | undefined): Promise<void> {
  for (const { part, title, findings } of measured) {
    say(`(${part}) ${title}`);
    await MEASURE[part]({
      pairs,
      say: (line) => say(`(${part}) ${line}`),
      onFinding: (finding) => findings.push(finding),
      signal: cancel.signal,
    });
  }
}

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

/** Writes to standard output and waits until it is written. */
async function print(text: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.stdout.write(text, () => resolve());
  await promise;
}
