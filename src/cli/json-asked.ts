import { Command, CommanderError, Option } from "commander";

/**
 * Whether these arguments ask for JSON: `--json` where the command takes it as an option, not where it is another
 * option's value, comes after `--` or belongs to a program that the command runs. Known before the command line is
 * checked, since what is wrong with it is told as JSON too; of a command that nobody knows it is taken to be one.
 */
export function asksForJson(program: Command, args: readonly string[]): boolean {
  const [command, rest] = descend(program, args);
  // Commander's own grammar, without the checks: no value is refused.
  const lenient = new Command().exitOverride().allowUnknownOption().allowExcessArguments();
  lenient.configureOutput({ writeErr: () => undefined });
  for (const { flags } of command.options) lenient.addOption(new Option(flags));
  if (command === program) lenient.option("--json");
  try {
    lenient.parseOptions([...rest]);
  } catch (error) {
    // The value of the last option is missing: what stands before it has been read.
    if (!(error instanceof CommanderError)) throw error;
  }
  return lenient.opts<{ json?: boolean }>().json === true;
}

/** The command that is asked for, down to the last of its names, and what follows these. */
function descend(command: Command, args: readonly string[]): readonly [Command, readonly string[]] {
  const at = args.findIndex((arg) => !arg.startsWith("-"));
  const next = command.commands.find((child) => child.name() === args[at]);
  if (next === undefined) return [command, args];
  return descend(next, args.toSpliced(at, 1));
}
