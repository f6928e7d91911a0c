import { join } from "node:path";
import { Command } from "commander";
import { openHouse } from "#cli/this-host/house.ts";
import { listMachines, pickMachine } from "#cli/this-host/our-machines.ts";
import { readConfig } from "#config/config.ts";
import { MACHINE_FILES, machineFolder } from "#host/runner/machine-record.ts";
import { Fault } from "#job/fault.ts";
import { runForeground } from "#lib/foreground.ts";
import { SpawnError } from "#lib/spawn.ts";
import { UsageError } from "./exit-code.ts";

const LIST_MS = 30_000;

const HELP_AFTER = `
Runs ssh with the machine's own key and host key. The exit status is ssh's.

Examples:
  $ testbed run --keep job.yaml
  $ testbed machines
  $ testbed ssh testbed-1c0ffee1-0123456789abcdef
  $ testbed ssh testbed-1c0ffee1-0123456789abcdef -- uname -a
`;

/** `testbed ssh NAME [command...]`. */
export function sshCommand(): Command {
  return new Command("ssh")
    .summary("enter a machine that was kept")
    .description(
      "Enters a machine that 'testbed run --keep' left running, or runs a command there.",
    )
    .argument("<name>", "the machine ('testbed machines' lists them)")
    .argument("[command...]", "run this instead of a shell; write it after --")
    .addHelpText("after", HELP_AFTER)
    .action(async (name: string, command: string[]) => {
      process.exitCode = await enter(name, command);
    });
}

async function enter(name: string, command: readonly string[]): Promise<number> {
  const config = await sshConfigOf(name);
  try {
    return await runForeground("ssh", ["-F", config, "guest", ...command]);
  } catch (error) {
    if (!(error instanceof SpawnError)) throw error;
    throw new Fault("host-tool-missing", `${error.message}: apt-get install openssh-client`, {
      cause: error,
    });
  }
}

async function sshConfigOf(name: string): Promise<string> {
  await using house = await openHouse(readConfig());
  const { state, hypervisor } = house;
  const machines = await listMachines(state, hypervisor, AbortSignal.timeout(LIST_MS));
  const machine = pickMachine(machines, name);
  if (machine.state !== "kept") {
    throw new UsageError(
      `${name} is ${machine.state}, and only machines that 'testbed run --keep' left running can be entered`,
    );
  }
  return join(machineFolder(state, name), MACHINE_FILES.sshConfig);
}
