import { Command } from "commander";
import { VARIABLES } from "#config/config.ts";

/** One command of the command line. Its file is loaded only when it is the one asked for. */
type Entry = { readonly summary: string; load(version: string): Promise<Command> };

const COMMANDS: Readonly<Record<string, Entry>> = {
  run: {
    summary: "run a job in a clean machine on this host",
    load: async (version) => (await import("./run.ts")).runCommand(version),
  },
  image: {
    summary: "build images",
    load: async () => (await import("./image.ts")).imageCommand(),
  },
  machines: {
    summary: "list the machines of this installation",
    load: async () => (await import("./machines.ts")).machinesCommand(),
  },
  ssh: {
    summary: "enter a machine that was kept",
    load: async () => (await import("./ssh.ts")).sshCommand(),
  },
  destroy: {
    summary: "destroy a machine that was kept or left over",
    load: async () => (await import("./destroy.ts")).destroyCommand(),
  },
  doctor: {
    summary: "say whether this host can run jobs, and what to mend",
    load: async () => (await import("./doctor.ts")).doctorCommand(),
  },
  daemon: {
    summary: "run this host: take jobs from the job service",
    load: async (version) => (await import("./daemon.ts")).daemonCommand(version),
  },
  host: {
    summary: "talk to the daemon on this host",
    load: async () => (await import("./host.ts")).hostCommand(),
  },
  service: {
    summary: "run the job service",
    load: async (version) => (await import("./service.ts")).serviceCommand(version),
  },
  token: {
    summary: "make, list and revoke tokens of the job service",
    load: async () => (await import("./token.ts")).tokenCommand(),
  },
  "check-config": {
    summary: "say what is wrong with a configuration file, and what holds",
    load: async () => (await import("./check-config.ts")).checkConfigCommand(),
  },
  schema: {
    summary: "print the JSON Schema of a file or an answer",
    load: async () => (await import("./schema.ts")).schemaCommand(),
  },
};

const HELP_AFTER = `
A job file says which image to boot, what to run in it and what to bring home:

  image: debian-12
  resources: { memory: 1GiB }
  steps:
    - { name: hello, run: "uname -a > /tmp/out.txt" }
  artifacts: [ /tmp/out.txt ]

  $ testbed run job.yaml

Exit status: 0 passed, 1 failed, 2 the job file or the command line is wrong,
3 broken (no fault of the job's steps), 4 timed out, 130 cancelled.

Environment:
${VARIABLES.map(({ name, says, default: byDefault }) => `  ${name}\n      ${says}\n      default: ${byDefault}`).join("\n")}
`;

/**
 * The command line for these arguments: every command by name and summary, the one that is asked for in full. Parsing it
 * runs the command; what goes wrong is thrown, help and version included (as commander's errors).
 */
export async function commandLine(args: readonly string[], version: string): Promise<Command> {
  const program = new Command("testbed")
    .description("Boots clean virtual machines and runs jobs in them.")
    .version(version, "-V, --version")
    .addHelpText("after", HELP_AFTER);
  const asked = args.find((arg) => !arg.startsWith("-"));
  const wanted = asked === "help" ? args[args.indexOf(asked) + 1] : asked;
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    program.addCommand(name === wanted ? await load(version) : new Command(name).summary(summary));
  }
  forAll(program, (command) => {
    command.exitOverride().showHelpAfterError("(--help says more)");
  });
  return program;
}

function forAll(command: Command, change: (command: Command) => void): void {
  change(command);
  for (const child of command.commands) forAll(child, change);
}
