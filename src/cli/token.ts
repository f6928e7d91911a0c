import { rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command } from "commander";
import { ageOf } from "#cli/client/ages.ts";
import { type Column, tableOf, terminalWidth } from "#cli/client/columns.ts";
import { withServiceOptions } from "#cli/options/service-options.ts";
import { serviceFolder } from "#cli/service/service-state.ts";
import { deskOfService, openTokenDesk, type TokenDesk } from "#cli/service/token-desk.ts";
import { readConfig } from "#config/config.ts";
import { type AccessWishes, readServiceAccess } from "#config/contexts.ts";
import { printable } from "#lib/printable.ts";
import { compileSchema } from "#lib/validate.ts";
import { ROLES, type Role, type TokenView, tokenRequestSchema } from "#protocol/token.ts";
import { tokenId } from "#protocol/values.ts";
import { UsageError } from "./exit-code.ts";
import { printAnswer } from "./print-answer.ts";

const HELP_AFTER = `
The service is the one of --state, --service or --context, or of the
environment, or the current context, and needs an admin's token; else it is the
service of this machine, asked as its own user, whether it runs or not. A
secret is shown once; only its hash is kept.

  admin      everything, tokens and hosts too
  submitter  submits jobs; sees and cancels its own
  host       leases jobs and reports them; NAME is the host's name
  viewer     sees everything, changes nothing

Examples:
  $ testbed token create ada --role submitter --to ada.token
  $ testbed token list
  $ testbed token revoke 1a2b3c4d
`;

type Options = AccessWishes & { readonly state?: string; readonly json?: boolean };
type CreateOptions = Options & { readonly role: string; readonly to?: string };

/** `testbed token create|list|revoke`. */
export function tokenCommand(): Command {
  const command = new Command("token")
    .summary("make, list and revoke tokens of the job service")
    .description("Makes, lists and revokes tokens of the job service.")
    .addHelpText("after", HELP_AFTER);
  withDeskOptions(
    command
      .command("create")
      .description("Makes a token and shows its secret, this once.")
      .argument("<name>", "whose it is: the owner of its jobs, or the host")
      .requiredOption("--role <role>", ROLES.join(", "))
      .option("--to <file>", "write the secret there, for you alone, instead of printing it")
      .option("--json", "print id and secret as one JSON object"),
  ).action((name: string, options: CreateOptions) => create(name, options));
  withDeskOptions(
    command
      .command("list")
      .description("Lists all tokens, revoked ones too, without their secrets.")
      .option("--json", "print the list as JSON"),
  ).action(list);
  withDeskOptions(
    command
      .command("revoke")
      .description("Revokes a token at once. Twice is safe.")
      .argument("<id>", "the token's id ('testbed token list' shows it)")
      .option("--json", "print its id as one JSON object"),
  ).action(revoke);
  return command;
}

function withDeskOptions(command: Command): Command {
  return withServiceOptions(
    command.option("--state <dir>", "the folder of a service on this machine"),
  );
}

async function create(name: string, { role, to, json, ...options }: CreateOptions) {
  const [wrong] = compileSchema(tokenRequestSchema)({ name, role });
  if (wrong !== undefined) throw new UsageError(`${wrong.path.join(".")} ${wrong.says.join("; ")}`);
  await using desk = await openDesk(options);
  // Before there is a secret that would be lost.
  if (to !== undefined) await writeSecret(to, "", "wx");
  const { id, secret } = await desk.create(name, role as Role).catch(async (error: unknown) => {
    if (to !== undefined) await rm(to, { force: true });
    throw error;
  });
  if (to !== undefined) await writeSecret(to, `${secret}\n`, "w");
  const where = to === undefined ? "the secret is shown this once" : `its secret is in ${to}`;
  process.stderr.write(`token ${id} of ${name}, ${role}; ${printable(where, 1000)}\n`);
  if (json) {
    const shown = to === undefined ? { secret } : { file: resolve(to) };
    await printAnswer(`${JSON.stringify({ id, ...shown }, null, 2)}\n`);
  } else if (to === undefined) await printAnswer(`${secret}\n`);
}

async function writeSecret(path: string, text: string, flag: "wx" | "w"): Promise<void> {
  await writeFile(path, text, { mode: 0o600, flag }).catch((error: NodeJS.ErrnoException) => {
    const is = error.code === "EEXIST" ? "is there already" : `cannot be written: ${error.message}`;
    throw new UsageError(`--to ${printable(path)} ${is}`);
  });
}

async function list({ json = false, ...options }: Options) {
  await using desk = await openDesk(options);
  const tokens = await desk.list();
  await printAnswer(json ? `${JSON.stringify({ tokens }, null, 2)}\n` : table(tokens));
}

async function revoke(id: string, { json = false, ...options }: Options) {
  if (compileSchema(tokenId)(id).length > 0)
    throw new UsageError(`${printable(id)} is no token's id; 'testbed token list' shows them`);
  await using desk = await openDesk(options);
  if (!(await desk.revoke(id))) throw new UsageError(`there is no token ${id}`);
  process.stderr.write(`token ${id} is revoked\n`);
  if (json) await printAnswer(`${JSON.stringify({ id }, null, 2)}\n`);
}

/** The folder that is named, else the service that is named, else the service of this machine. */
async function openDesk({ state, ...wishes }: Options): Promise<TokenDesk> {
  if (state !== undefined && (wishes.service ?? wishes.context) !== undefined)
    throw new UsageError("--state names a service of this machine; leave out --service or it");
  const { stateFolder } = readConfig();
  const access = state === undefined ? await readServiceAccess(wishes) : undefined;
  return access === undefined
    ? await openTokenDesk(resolve(serviceFolder(state, stateFolder)))
    : deskOfService(access);
}

const COLUMNS: readonly Column<TokenView>[] = [
  { head: "ID", cell: ({ id }) => id },
  { head: "NAME", cell: ({ name }) => name, least: 12 },
  { head: "ROLE", cell: ({ role }) => role },
  { head: "AGE", cell: ({ createdAt }) => ageOf(createdAt), isRight: true },
  {
    head: "REVOKED",
    cell: ({ revokedAt }) => (revokedAt === undefined ? "-" : `${ageOf(revokedAt)} ago`),
    isRight: true,
  },
];

function table(tokens: readonly TokenView[]): string {
  return tokens.length === 0 ? "There are no tokens.\n" : tableOf(COLUMNS, tokens, terminalWidth());
}
