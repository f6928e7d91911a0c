import { Command } from "commander";
import { thisHost } from "#cli/this-host/doctor-view.ts";
import { readConfig } from "#config/config.ts";
import { CHECKS } from "#host/doctor/checks.ts";
import { examine, type NamedFinding } from "#host/doctor/examine.ts";
import type { Mark } from "#host/doctor/finding.ts";
import { printable } from "#lib/printable.ts";
import { EXIT_CODES } from "./exit-code.ts";
import { printAnswer } from "./print-answer.ts";

const HELP_AFTER = `
Looks at libvirt, QEMU, KVM, the tools, the state folder, room and network, and
names the command that mends what is wrong. Changes nothing.

Exit status: 0 a job could run here, 3 none could.

Examples:
  $ testbed doctor
  $ testbed doctor --json | jq '.findings[] | select(.mark != "ok")'
`;

const FOUND_CHARACTERS_MAX = 1_000;

/** `testbed doctor`. */
export function doctorCommand(): Command {
  return new Command("doctor")
    .summary("say whether this host can run jobs, and what to mend")
    .description("Says whether this host can run jobs, and how to mend what is missing.")
    .option("--json", "print the findings as one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action(async ({ json = false }: { json?: boolean }) => {
      await using host = await thisHost(readConfig());
      const findings = await examine(CHECKS, host);
      const canRun = findings.every(({ mark }) => mark !== "problem");
      await printAnswer(
        json ? `${JSON.stringify({ canRun, findings }, null, 2)}\n` : report(findings),
      );
      process.exitCode = canRun ? EXIT_CODES.passed : EXIT_CODES.broken;
    });
}

/** The findings as aligned lines, each with the command that mends it below it, and what they mean at the end. */
export function report(findings: readonly NamedFinding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ mark, name, found, mend }) => [
    `${mark.padEnd(7)}  ${name.padEnd(width)}  ${printable(found, FOUND_CHARACTERS_MAX)}`,
    ...(mend === undefined
      ? []
      : [`${" ".repeat(width + 11)}try: ${printable(mend, FOUND_CHARACTERS_MAX)}`]),
  ]);
  const count = (wanted: Mark) => findings.filter(({ mark }) => mark === wanted).length;
  const [problems, warnings] = [count("problem"), count("warning")];
  const verdict = problems === 0 ? "Jobs can run here" : "No job can run here until it is mended";
  const sums = `checks: ${findings.length}, problems: ${problems}, warnings: ${warnings}`;
  return `${lines.join("\n")}\n\n${verdict} (${sums}).\n`;
}
