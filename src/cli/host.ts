import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Command } from "commander";
import { LOCAL } from "#cli/daemon/daemon-settings.ts";
import { readConfig } from "#config/config.ts";
import { LOCAL_ROUTES, LOCAL_SOCKET, type LocalRouteName } from "#host/api/local-routes.ts";
import type { DaemonStatus } from "#host/daemon/daemon-status.ts";
import { HttpClient, NoAnswer } from "#lib/http-client.ts";
import { printable } from "#lib/printable.ts";
import { bytesInWords } from "#lib/words.ts";
import { UsageError } from "./exit-code.ts";
import { printAnswer } from "./print-answer.ts";

const ANSWER_MS = 60_000;
const STATE_HELP = "the daemon's state folder (default: $TESTBED_STATE or its default)";

const HELP_AFTER = `
These talk to the daemon on this host, through daemon.sock in its state folder; hosts of
the whole lab are 'testbed hosts', 'testbed drain' and 'testbed resume'.

Examples:
  $ testbed host status
  $ testbed host drain --why 'new disk on Monday'
  $ testbed host resume
`;

type Options = { readonly state?: string; readonly json?: boolean; readonly why?: string };

/** `testbed host`. */
export function hostCommand(): Command {
  const host = new Command("host")
    .summary("talk to the daemon on this host")
    .description("Talks to the daemon on this host.")
    .addHelpText("after", HELP_AFTER);
  const add = (name: LocalRouteName, says: string) =>
    host
      .command(name)
      .summary(says)
      .description(`${says[0]?.toUpperCase()}${says.slice(1)}.`)
      .option("--state <dir>", STATE_HELP)
      .option("--json", "print one JSON object")
      .action(async (options: Options) => {
        const { why } = options;
        const answer = await askDaemon(name, options.state, why === undefined ? {} : { why });
        await printAnswer(
          options.json === true ? `${JSON.stringify(answer, null, 2)}\n` : inWords(name, answer),
        );
      });
  add("status", "say what the daemon does, and why it takes no work if it takes none");
  add("drain", "take no new work and finish what runs, also after a restart").option(
    "--why <words>",
    "the reason, for people",
  );
  add("resume", "take work again");
  add("machines", "list the machines of this host");
  add("images", "list the images that this host has or can make");
  host
    .command("metrics")
    .summary("print the daemon's numbers, as Prometheus reads them")
    .description("Prints the daemon's numbers in Prometheus' text format.")
    .option("--state <dir>", STATE_HELP)
    .action(async ({ state }: Options) => {
      await printAnswer(await textOfDaemon("metrics", state, {}));
    });
  return host;
}

async function askDaemon(name: LocalRouteName, state: string | undefined, body: object) {
  return JSON.parse(await textOfDaemon(name, state, body)) as object;
}

async function textOfDaemon(name: LocalRouteName, state: string | undefined, body: object) {
  const socketPath = join(state ?? readConfig().stateFolder, LOCAL_SOCKET);
  using http = new HttpClient({ url: LOCAL, socketPath });
  const { method, path } = LOCAL_ROUTES[name];
  const signal = AbortSignal.timeout(ANSWER_MS);
  const order = { method, path, answerMs: ANSWER_MS, signal };
  const answer = await http
    .ask(method === "GET" ? order : { ...order, body: JSON.stringify(body) })
    .catch((error: unknown) => {
      if (!(error instanceof NoAnswer)) throw error;
      const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
      throw new UsageError(
        code === "EACCES" || code === "EPERM"
          ? `the daemon's socket is for its own user and group: ${error.message}\ntry with sudo, or as a member of the group of ${socketPath}`
          : `no daemon answers on this host: ${error.message}\nstart one: testbed daemon --config FILE; or name its state folder: --state DIR`,
      );
    });
  const said = await text(answer.body);
  if (answer.status === 200) return said;
  const { detail } = JSON.parse(said) as { detail?: string };
  throw new UsageError(`the daemon refused: ${printable(detail ?? "", 500)}`);
}

function inWords(name: LocalRouteName, answer: object): string {
  if (name === "machines" || name === "images") {
    const list = (Object.values(answer)[0] ?? []) as readonly Record<string, unknown>[];
    if (list.length === 0) return `There are no ${name}.\n`;
    return list.map((one) => `${lineOf(name, one)}\n`).join("");
  }
  return statusInWords(answer as DaemonStatus);
}

function lineOf(name: "machines" | "images", one: Record<string, unknown>): string {
  if (name === "machines") return `${String(one["name"])}  ${String(one["state"])}`;
  const { name: image, version, digest } = one;
  return `${String(image)}:${String(version)}  ${digest === undefined ? "not built yet" : `sha256:${String(digest)}`}`;
}

function statusInWords(status: DaemonStatus): string {
  const { host, state, why, capacity, free, acceleration, serviceTrouble, attempts } = status;
  const room = ({ slots, cpus, memoryMiB, diskMiB }: DaemonStatus["free"]) =>
    `${slots} machines, ${cpus} CPUs, ${bytesInWords(memoryMiB * 2 ** 20)} of memory, ${bytesInWords(diskMiB * 2 ** 20)} of disk`;
  return [
    `host      ${host}: ${state}${why === undefined ? "" : `: ${printable(why, 500)}`}`,
    `service   ${serviceTrouble === undefined ? "answers" : `away: ${printable(serviceTrouble, 500)}`}`,
    `runs with ${acceleration ?? "nobody knows yet"}`,
    `free      ${room(free)}`,
    `of        ${room(capacity)}`,
    ...attempts.map(
      ({ jobId, attempt, phase, state: at, begunAt }) =>
        `attempt   ${jobId} ${attempt}: ${at === "running" ? phase : at}, since ${begunAt}`,
    ),
    "",
  ].join("\n");
}
