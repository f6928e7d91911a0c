import { Argument, Command, Option } from "commander";
import { ask } from "#cli/client/ask.ts";
import { type Service, withService } from "#cli/client/service.ts";
import { waitUntilDrained } from "#cli/client/wait-until-drained.ts";
import { parseHostNames, parseLine } from "#cli/options/arguments.ts";
import { SERVICE_HELP, withServiceOptions } from "#cli/options/service-options.ts";
import type { AccessWishes } from "#config/contexts.ts";
import { printable } from "#lib/printable.ts";
import type { HostView } from "#protocol/host-view.ts";
import { printAnswer } from "./print-answer.ts";

const DRAIN_HELP = `
A drained host gets nothing new; what runs there finishes. Twice is safe. With
--wait the command ends when nothing runs there any more; Ctrl-C ends the
waiting, not the drain. With --json: {"hosts"}.
${SERVICE_HELP}
Examples:
  $ testbed drain --why "new disks" lab-7
  $ testbed drain --wait lab-7 && ssh lab-7 reboot
`;

const RESUME_HELP = `
Gives drained hosts work again. Twice is safe. With --json: {"hosts"}.
${SERVICE_HELP}
Example:
  $ testbed resume lab-7
`;

type Options = AccessWishes & { readonly json?: boolean };
type DrainOptions = Options & { readonly why?: string; readonly wait?: boolean };

const hosts = () =>
  new Argument("<hosts...>", "the hosts ('testbed hosts' lists them)").argParser(parseHostNames);

/** `testbed drain HOST...`. */
export function drainCommand(): Command {
  const command = new Command("drain")
    .summary("give hosts no new work")
    .description("Gives hosts no new work and lets them finish what runs there.")
    .addArgument(hosts())
    .addOption(
      new Option("--why <text>", "for people (default: who drained it)").argParser(parseLine),
    )
    .option("--wait", "until nothing runs there any more")
    .option("--json", "print the hosts as JSON");
  return withServiceOptions(command)
    .addHelpText("after", DRAIN_HELP)
    .action(async (names: readonly string[], { why, wait, json, ...wishes }: DrainOptions) => {
      const body = why === undefined ? {} : { why };
      await change({ names, wishes, json: json ?? false, wait: wait ?? false }, (service, host) =>
        ask(service, "drainHost", { path: { host }, json: body }),
      );
    });
}

/** `testbed resume HOST...`. */
export function resumeCommand(): Command {
  const command = new Command("resume")
    .summary("give drained hosts work again")
    .description("Gives drained hosts work again.")
    .addArgument(hosts())
    .option("--json", "print the hosts as JSON");
  return withServiceOptions(command)
    .addHelpText("after", RESUME_HELP)
    .action(async (names: readonly string[], { json, ...wishes }: Options) => {
      await change({ names, wishes, json: json ?? false, wait: false }, (service, host) =>
        ask(service, "resumeHost", { path: { host } }),
      );
    });
}

type Change = {
  readonly names: readonly string[];
  readonly wishes: AccessWishes;
  readonly json: boolean;
  readonly wait: boolean;
};

async function change(
  { names, wishes, json, wait }: Change,
  one: (service: Service, host: string) => Promise<HostView>,
): Promise<void> {
  const changed = await withService(wishes, async (service) => {
    const views: HostView[] = [];
    for (const name of names) {
      const view = await one(service, name);
      if (!json) await printAnswer(`${name}  ${words(view)}\n`);
      views.push(view);
    }
    return wait ? await waitUntilDrained(service, names) : views;
  });
  if (json) await printAnswer(`${JSON.stringify({ hosts: changed }, null, 2)}\n`);
  else if (wait)
    for (const view of changed) await printAnswer(`${printable(view.name)}  ${words(view)}\n`);
}

function words({ state, doing }: HostView): string {
  if (state !== "draining") return `is ${printable(state)}`;
  return `is draining, ${doing.length} ${doing.length === 1 ? "job runs" : "jobs run"} there`;
}
