import { resolve } from "node:path";
import { Command } from "commander";
import { readConfig } from "#config/config.ts";
import { compileSchema } from "#lib/validate.ts";
import { ROLES, type Role, type TokenView, tokenRequestSchema } from "#protocol/token.ts";
import { tokenId } from "#protocol/values.ts";
import { UsageError } from "./exit-code.ts";
import { printAnswer } from "./print-answer.ts";
import { serviceFolder } from "./service-state.ts";
import { openTokenDesk } from "./token-desk.ts";

const HELP_AFTER = `
Works on the service's own machine, as the service's user, whether the service runs or
not. A secret is printed once, on standard output; only its hash is kept.

  admin      everything, tokens and hosts too
  submitter  submits jobs; sees and cancels its own
  host       leases jobs and reports them; NAME is the host's name
  viewer     sees everything, changes nothing

Examples:
  $ testbed token create ada --role submitter > ada.token
  $ testbed token list
  $ testbed token revoke 1a2b3c4d
`;

type Options = { state?: string; json?: boolean };

/** `testbed token create|list|revoke`. */
export function tokenCommand(): Command {
  const command = new Command("token")
    .summary("make, list and revoke tokens of the job service")
    .description("Makes, lists and revokes tokens, on the job service's own machine.")
    .addHelpText("after", HELP_AFTER);
  const state = "the service's folder (default: service in the state folder)";
  command
    .command("create")
    .description("Makes a token and prints its secret, this once.")
    .argument("<name>", "whose it is: the owner of its jobs, or the host")
    .requiredOption("--role <role>", ROLES.join(", "))
    .option("--state <dir>", state)
    .action((name: string, options: Options & { role: string }) => create(name, options));
  command
    .command("list")
    .description("Lists all tokens, revoked ones too, without their secrets.")
    .option("--state <dir>", state)
    .option("--json", "print them as a JSON list")
    .action(list);
  command
    .command("revoke")
    .description("Revokes a token at once. Twice is safe.")
    .argument("<id>", "the token's id ('testbed token list' shows it)")
    .option("--state <dir>", state)
    .action(revoke);
  return command;
}

async function create(name: string, { role, ...options }: Options & { role: string }) {
  const [wrong] = compileSchema(tokenRequestSchema)({ name, role });
  if (wrong !== undefined) throw new UsageError(`${wrong.path.join(".")} ${wrong.says.join("; ")}`);
  await using desk = await openDesk(options);
  const { id, secret } = await desk.create(name, role as Role);
  process.stderr.write(`token ${id} of ${name}, ${role}; the secret is shown this once\n`);
  await printAnswer(`${secret}\n`);
}

async function list({ json = false, ...options }: Options) {
  await using desk = await openDesk(options);
  const tokens = await desk.list();
  await printAnswer(json ? `${JSON.stringify(tokens, null, 2)}\n` : table(tokens));
}

async function revoke(id: string, options: Options) {
  if (compileSchema(tokenId)(id).length > 0)
    throw new UsageError(`${id} is no token's id; 'testbed token list' shows them`);
  await using desk = await openDesk(options);
  if (!(await desk.revoke(id))) throw new UsageError(`there is no token ${id}`);
  process.stderr.write(`token ${id} is revoked\n`);
}

function openDesk({ state }: Options) {
  return openTokenDesk(resolve(serviceFolder(state, readConfig().stateFolder)));
}

function table(tokens: readonly TokenView[]): string {
  if (tokens.length === 0) return "There are no tokens.\n";
  const rows = tokens.map(({ id, name, role, createdAt, revokedAt }) =>
    [id, role.padEnd(9), createdAt, revokedAt ?? "-".padEnd(24), name].join("  "),
  );
  return `ID        ROLE       CREATED                   REVOKED                   NAME\n${rows.join("\n")}\n`;
}
