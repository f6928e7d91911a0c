import { stat } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import type { HttpTarget } from "#lib/http-client.ts";
import { printable } from "#lib/printable.ts";
import { readRegularFile } from "#lib/read-regular-file.ts";
import { suggestion } from "#lib/suggestion.ts";
import { type Context, clientFileSchema } from "./client-file.ts";
import { ConfigError } from "./config-error.ts";
import { readConfigFile } from "./config-file.ts";
import { readTokenFile, type SecretReader, thisReader } from "./secret-file.ts";
import { parseServiceAddress, SERVICE_ADDRESS_ALLOWED } from "./service-address.ts";

/** A job service to ask, and the token to ask it with. */
export type ServiceAccess = {
  /** Name of the context; undefined when flag or environment named the service itself. */
  readonly context: string | undefined;
  /** The service as it was written, for people. */
  readonly service: string;
  readonly target: HttpTarget;
  readonly token: string;
  /** Where the token is from, for people. */
  readonly tokenFrom: string;
};

/** What the command line says of it. */
export type AccessWishes = { readonly service?: string; readonly context?: string };

type Environment = Readonly<Record<string, string | undefined>>;

const CA_BYTES_MAX = 1024 * 1024;

/**
 * The job service that is meant: the command line's, else the environment's, else the current context of the file.
 * Undefined when nobody named one. A context's own token is used when the command line named the context; else the
 * environment's token goes first. Throws `ConfigError`.
 */
export async function readServiceAccess(
  wishes: AccessWishes,
  environment: Environment = process.env,
  reader: SecretReader = thisReader(environment),
): Promise<ServiceAccess | undefined> {
  const { TESTBED_SERVICE: service = "", TESTBED_CONTEXT: context = "" } = environment;
  if (wishes.service !== undefined && wishes.context !== undefined)
    throw new ConfigError("--service and --context name two services; give one of them");
  const isSaid = wishes.service !== undefined || wishes.context !== undefined;
  if (!isSaid && service !== "" && context !== "")
    throw new ConfigError("TESTBED_SERVICE and TESTBED_CONTEXT name two services; set one of them");
  const given = await tokenOfEnvironment(environment, reader);
  const url = wishes.service ?? (wishes.context === undefined ? service : "");
  if (url !== "") return direct(url, wishes.service === undefined, given);
  const file = await readClientFile(environment, reader);
  const name = wishes.context ?? (context === "" ? file.current : context);
  if (name === undefined) return undefined;
  const found = contextOf(file, name);
  const own = () => tokenOfContext(file.path, name, found, reader);
  const token = wishes.context === undefined ? (given ?? (await own())) : ((await own()) ?? given);
  const target = await targetOf(`${file.path}: contexts.${name}`, found);
  if (token === undefined) throw new ConfigError(`context ${name}: ${NO_TOKEN}`);
  return { context: name, service: found.service, target, ...token };
}

const NO_TOKEN = "there is no token for it; write tokenFile there, or set TESTBED_TOKEN_FILE";

type Token = Pick<ServiceAccess, "token" | "tokenFrom">;

function direct(service: string, isOfEnvironment: boolean, token: Token | undefined) {
  const target = parseServiceAddress(service);
  const where = isOfEnvironment ? "TESTBED_SERVICE" : "--service";
  if (target === undefined)
    throw new ConfigError(`${where} is '${printable(service)}'; it ${SERVICE_ADDRESS_ALLOWED}`);
  if (token === undefined)
    throw new ConfigError(
      `${where} ${printable(service)} needs a token: set TESTBED_TOKEN_FILE to the file that holds it, or TESTBED_TOKEN`,
    );
  return { context: undefined, service, target, ...token };
}

/** A token for the header, visible ASCII; anything else is not quoted. */
async function tokenOfEnvironment(
  { TESTBED_TOKEN: token = "", TESTBED_TOKEN_FILE: file = "" }: Environment,
  reader: SecretReader,
): Promise<Token | undefined> {
  if (token !== "" && file !== "")
    throw new ConfigError("TESTBED_TOKEN and TESTBED_TOKEN_FILE are two tokens; set one of them");
  if (file !== "") {
    const path = file.startsWith("credential:") ? file : resolve(file);
    const read = await readTokenFile("TESTBED_TOKEN_FILE", path, reader);
    return { token: read, tokenFrom: `TESTBED_TOKEN_FILE ${printable(file)}` };
  }
  if (token === "") return undefined;
  if (!/^[\x21-\x7e]{1,1024}$/.test(token.trim()))
    throw new ConfigError("TESTBED_TOKEN holds no token: one line, no spaces");
  return { token: token.trim(), tokenFrom: "TESTBED_TOKEN" };
}

async function tokenOfContext(
  path: string,
  name: string,
  { tokenFile }: Context,
  reader: SecretReader,
): Promise<Token | undefined> {
  if (tokenFile === undefined) return undefined;
  const token = await readTokenFile(`${path}: contexts.${name}.tokenFile`, tokenFile, reader);
  return { token, tokenFrom: printable(tokenFile) };
}

async function targetOf(key: string, { service, ca }: Context): Promise<HttpTarget> {
  const target = parseServiceAddress(service);
  if (target === undefined) throw new ConfigError(`${key}.service ${SERVICE_ADDRESS_ALLOWED}`);
  if (ca === undefined) return target;
  if (target.url.protocol !== "https:")
    throw new ConfigError(`${key}.ca is of no use: the service's address is not https`);
  const { bytes, isTooLong } = await readRegularFile(ca, CA_BYTES_MAX).catch((error: Error) => {
    throw new ConfigError(`${key}.ca: ${printable(ca)}: ${error.message}`, { cause: error });
  });
  if (isTooLong) throw new ConfigError(`${key}.ca: ${printable(ca)} is longer than 1 MiB`);
  return { ...target, ca: bytes.toString("utf8") };
}

type ClientFile = {
  readonly path: string;
  readonly current: string | undefined;
  readonly contexts: Readonly<Record<string, Context>>;
};

/** The user's file; without one there are no contexts. */
async function readClientFile(environment: Environment, reader: SecretReader): Promise<ClientFile> {
  const path = clientFilePath(environment);
  if (path === undefined)
    return { path: "~/.config/testbed/config.yaml", current: undefined, contexts: {} };
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw new ConfigError(`${printable(path)}: cannot be read: ${error.message}`, { cause: error });
  });
  if (found === undefined) return { path, current: undefined, contexts: {} };
  // Whoever can change it sends the token to a service of their own.
  if (found.uid !== 0 && found.uid !== reader.uid)
    throw new ConfigError(`${printable(path)}: belongs to another user, who may change it`);
  if ((found.mode & 0o022) !== 0)
    throw new ConfigError(
      `${printable(path)}: may be changed by others; chmod 600 ${printable(path)}`,
    );
  return { path, ...(await readConfigFile(path, clientFileSchema)) };
}

/** Where the file lies by the XDG base directory specification, which says to ignore relative paths. */
function clientFilePath({ XDG_CONFIG_HOME: xdg = "", HOME: home = "" }: Environment) {
  if (isAbsolute(xdg)) return join(xdg, "testbed/config.yaml");
  return isAbsolute(home) ? join(home, ".config/testbed/config.yaml") : undefined;
}

function contextOf({ path, contexts }: ClientFile, name: string): Context {
  const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (found !== undefined) return found;
  const names = Object.keys(contexts);
  const known = names.length === 0 ? "it names none" : `there is ${names.join(", ")}`;
  throw new ConfigError(
    [
      `${printable(path)}: no context '${printable(name, 100)}'`,
      ...suggestion(name, names),
      known,
    ].join("; "),
  );
}
