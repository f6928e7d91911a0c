import { Argument, Command } from "commander";
import { ageOf } from "#cli/client/ages.ts";
import { askService } from "#cli/client/ask.ts";
import { type Column, tableOf, terminalWidth } from "#cli/client/columns.ts";
import { hostInWords, usedOf } from "#cli/client/host-in-words.ts";
import { imagesOfHosts } from "#cli/client/images-of-hosts.ts";
import { parseHostName } from "#cli/options/arguments.ts";
import { SERVICE_HELP, withServiceOptions } from "#cli/options/service-options.ts";
import type { AccessWishes } from "#config/contexts.ts";
import { printable } from "#lib/printable.ts";
import { suggestion } from "#lib/suggestion.ts";
import type { HostView } from "#protocol/host-view.ts";
import { UsageError } from "./exit-code.ts";
import { printAnswer } from "./print-answer.ts";

const HELP_AFTER = `
ready     takes work
draining  takes nothing new and finishes what runs ('testbed drain')
drained   nothing runs there any more
lost      was silent for too long; it comes back by itself

Slots, CPUs and memory are shown as used/all. With --json: {"hosts"}, of one
host itself.
${SERVICE_HELP}
Examples:
  $ testbed hosts
  $ testbed hosts lab-7
  $ testbed hosts --images
  $ testbed hosts --json | jq -r '.hosts[] | select(.state == "lost") | .name'
`;

type Options = AccessWishes & { readonly json?: boolean; readonly images?: boolean };

/** `testbed hosts [NAME]`. */
export function hostsCommand(): Command {
  const command = new Command("hosts")
    .summary("list hosts, or tell all about one")
    .description("Lists the hosts of the job service, or tells all about one.")
    .addArgument(new Argument("[name]", "all about this host").argParser(parseHostName))
    .option("--images", "which image, by its digest, lies on which hosts")
    .option("--json", "print the answer as JSON");
  return withServiceOptions(command)
    .addHelpText("after", HELP_AFTER)
    .action(async (name: string | undefined, { json, images, ...wishes }: Options) => {
      const list = await askService(wishes, "listHosts", {});
      const host = name === undefined ? undefined : pick(list.hosts, name);
      if (json) return await printAnswer(`${JSON.stringify(host ?? list, null, 2)}\n`);
      const hosts = host === undefined ? list.hosts : [host];
      if (images) return await printAnswer(imagesOfHosts(hosts, terminalWidth()));
      await printAnswer(
        host === undefined ? table(list.hosts) : hostInWords(host, terminalWidth()),
      );
    });
}

function pick(hosts: readonly HostView[], name: string): HostView {
  const found = hosts.find((host) => host.name === name);
  if (found !== undefined) return found;
  const names = hosts.map((host) => printable(host.name));
  const there = names.length === 0 ? "none has ever asked for work" : "'testbed hosts' lists them";
  throw new UsageError([`there is no host ${name}`, ...suggestion(name, names), there].join("; "));
}

const COLUMNS: readonly Column<HostView>[] = [
  { head: "NAME", cell: ({ name }) => name, least: 12 },
  { head: "STATE", cell: ({ state }) => state },
  { head: "SINCE", cell: ({ since }) => ageOf(since), isRight: true },
  { head: "SEEN", cell: ({ seenAt }) => ageOf(seenAt), isRight: true },
  { head: "SLOTS", cell: (host) => usedOf(host, "slots"), isRight: true },
  { head: "CPUS", cell: (host) => usedOf(host, "cpus"), isRight: true },
  { head: "MEMORY", cell: (host) => usedOf(host, "memoryMiB"), isRight: true },
  { head: "JOBS", cell: ({ doing }) => String(doing.length), isRight: true },
  { head: "FAULTS", cell: ({ faults }) => String(faults.length), isRight: true },
];

function table(hosts: readonly HostView[]): string {
  return hosts.length === 0
    ? "There are no hosts: none has ever asked for work.\n"
    : tableOf(COLUMNS, hosts, terminalWidth());
}
