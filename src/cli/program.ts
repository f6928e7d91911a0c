import { Command } from "commander";
import { VARIABLES } from "#config/config.ts";

/** One command of the command line. Its file is loaded only when it is the one asked for. */
type Entry = { readonly summary: string; load(version: string): Promise<Command> };

/** The commands as `--help` groups them. */
const GROUPS: Readonly<Record<string, Readonly<Record<string, Entry>>>> = {
  "On this host:": {
    run: {
      summary: "run a job in a clean machine on this host",
      load: async (version) => (await import("./run.ts")).runCommand(version),
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
    image: {
      summary: "build, fetch, check, sign and prune images",
      load: async () => (await import("./image/image.ts")).imageCommand(),
    },
    doctor: {
      summary: "say whether this host can run jobs, and what to mend",
      load: async () => (await import("./doctor.ts")).doctorCommand(),
    },
  },
  "Jobs of a job service:": {
    submit: {
      summary: "submit a job, and follow it to its end with --watch",
      load: async () => (await import("./submit.ts")).submitCommand(),
    },
    jobs: {
      summary: "list jobs",
      load: async () => (await import("./jobs.ts")).jobsCommand(),
    },
    job: {
      summary: "tell all about a job",
      load: async () => (await import("./job.ts")).jobCommand(),
    },
    logs: {
      summary: "print or follow a job's log",
      load: async () => (await import("./logs.ts")).logsCommand(),
    },
    cancel: {
      summary: "cancel jobs",
      load: async () => (await import("./cancel.ts")).cancelCommand(),
    },
    artifacts: {
      summary: "list or fetch what a job brought home",
      load: async () => (await import("./artifacts.ts")).artifactsCommand(),
    },
  },
  "Hosts of a job service:": {
    hosts: {
      summary: "list hosts, or tell all about one",
      load: async () => (await import("./hosts.ts")).hostsCommand(),
    },
    drain: {
      summary: "give hosts no new work",
      load: async () => (await import("./drain.ts")).drainCommand(),
    },
    resume: {
      summary: "give drained hosts work again",
      load: async () => (await import("./drain.ts")).resumeCommand(),
    },
  },
  "A testbed host:": {
    daemon: {
      summary: "run this host: take jobs from the job service",
      load: async (version) => (await import("./daemon.ts")).daemonCommand(version),
    },
    host: {
      summary: "talk to the daemon on this host",
      load: async () => (await import("./host.ts")).hostCommand(),
    },
  },
  "The job service:": {
    service: {
      summary: "run the job service",
      load: async (version) => (await import("./service.ts")).serviceCommand(version),
    },
    token: {
      summary: "make, list and revoke tokens of the job service",
      load: async () => (await import("./token.ts")).tokenCommand(),
    },
  },
  "Other:": {
    "check-config": {
      summary: "say what is wrong with a configuration file, and what holds",
      load: async () => (await import("./check-config.ts")).checkConfigCommand(),
    },
    schema: {
      summary: "print the JSON Schema of a file or an answer",
      load: async () => (await import("./schema.ts")).schemaCommand(),
    },
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
    // A command may have a --version of its own: that of an image, say.
    .enablePositionalOptions()
    .addHelpText("after", HELP_AFTER);
  const asked = args.find((arg) => !arg.startsWith("-"));
  const wanted = asked === "help" ? args[args.indexOf(asked) + 1] : asked;
  for (const [heading, commands] of Object.entries(GROUPS)) {
    for (const [name, { summary, load }] of Object.entries(commands)) {
      const command = name === wanted ? await load(version) : new Command(name).summary(summary);
      program.addCommand(command.helpGroup(heading));
    }
  }
  program.addHelpCommand(
    new Command("help")
      .argument("[command]")
      .summary("say how a command is used")
      .helpGroup("Other:"),
  );
  forAll(program, (command) => {
    command.exitOverride().showHelpAfterError("(--help says more)");
  });
  return program;
}

function forAll(command: Command, change: (command: Command) => void): void {
  change(command);
  for (const child of command.commands) forAll(child, change);
}
