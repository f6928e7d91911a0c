import { join } from "node:path";
import { Command } from "commander";
import { openHouse } from "#cli/this-host/house.ts";
import { listMachines, pickMachine } from "#cli/this-host/our-machines.ts";
import { readConfig } from "#config/config.ts";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import { removeMachine } from "#host/runner/sweep.ts";
import { FileLock } from "#lib/file-lock.ts";
import { UsageError } from "./exit-code.ts";

const DESTROY_MS = 60_000;

const HELP_AFTER = `
Takes a kept machine, or what a killed run left behind, out of libvirt and removes its
disk. A machine that a running testbed lives in is not touched: end that run instead.

Example:
  $ testbed destroy testbed-1c0ffee1-0123456789abcdef
`;

/** `testbed destroy NAME...`. */
export function destroyCommand(): Command {
  return new Command("destroy")
    .summary("destroy a machine that was kept or left over")
    .description("Destroys machines that 'testbed run --keep' left running, with their disks.")
    .argument("<names...>", "the machines ('testbed machines' lists them)")
    .addHelpText("after", HELP_AFTER)
    .action(async (names: string[]) => {
      await destroy(names);
    });
}

async function destroy(names: readonly string[]): Promise<void> {
  await using house = await openHouse(readConfig());
  const { state, hypervisor } = house;
  const signal = AbortSignal.timeout(DESTROY_MS);
  // Under the admission lock no run is between making a machine's folder and locking it.
  using _ = await FileLock.take(join(state.path, STATE_NAMES.admissionLock), signal);
  const machines = await listMachines(state, hypervisor, signal);
  const picked = names.map((name) => pickMachine(machines, name));
  const inUse = picked.find((machine) => machine.state === "in use");
  if (inUse !== undefined) {
    const pid = inUse.record?.pid;
    throw new UsageError(
      `${inUse.name} is in use by process ${pid ?? "?"}; end that one (kill -INT ${pid ?? "PID"})`,
    );
  }
  for (const { name } of picked) {
    await removeMachine(state, hypervisor, name, signal);
    process.stderr.write(`destroyed ${name}\n`);
  }
}
