import { Command } from "commander";
import { openHouse } from "#cli/this-host/house.ts";
import { listMachines, type OurMachine } from "#cli/this-host/our-machines.ts";
import { readConfig } from "#config/config.ts";
import { printAnswer } from "./print-answer.ts";

const LIST_MS = 30_000;

const HELP_AFTER = `
in use     a testbed process lives in it
kept       left running by 'testbed run --keep': enter it with 'testbed ssh NAME',
           destroy it with 'testbed destroy NAME'
leftover   its testbed process died; the next run sweeps it, or 'testbed destroy NAME'

Examples:
  $ testbed machines
  $ testbed machines --json | jq -r '.[] | select(.state == "kept") | .name'
`;

/** `testbed machines`. */
export function machinesCommand(): Command {
  return new Command("machines")
    .summary("list the machines of this installation")
    .description("Lists the machines of this installation, running, kept and left over.")
    .option("--json", "print them as a JSON list")
    .addHelpText("after", HELP_AFTER)
    .action(async ({ json = false }: { json?: boolean }) => {
      await using house = await openHouse(readConfig());
      const signal = AbortSignal.timeout(LIST_MS);
      const machines = await listMachines(house.state, house.hypervisor, signal);
      await printAnswer(
        json ? `${JSON.stringify(machines.map(plain), null, 2)}\n` : table(machines),
      );
    });
}

function plain({ name, state, record }: OurMachine) {
  const { job, attempt, slot, memoryMiB, pid, address } = record ?? {};
  return { name, state, job, attempt, slot, memoryMiB, pid, address };
}

function table(machines: readonly OurMachine[]): string {
  if (machines.length === 0) return "There are no machines.\n";
  const rows = machines.map(({ name, state, record }) => [
    name,
    state,
    String(record?.slot ?? "-"),
    record === undefined ? "-" : `${record.memoryMiB} MiB`,
    record?.address ?? "-",
  ]);
  const all = [["NAME", "STATE", "SLOT", "MEMORY", "ADDRESS"], ...rows];
  const widths = (all[0] ?? []).map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}
