import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { readConfig } from "#config/config.ts";
import { writeAtomically } from "#lib/atomic-file.ts";
import { makeFolders } from "#lib/make-folders.ts";
import {
  isLocal,
  type ListenAddress,
  listenAddressText,
  parseListenAddress,
  SOCKET_PATH_BYTES_MAX,
} from "#service/api/listen-address.ts";
import type { Certificate } from "#service/api/listener.ts";
import { newSecret } from "#service/api/new-token.ts";
import { ServiceApi } from "#service/api/service-api.ts";
import { ContentFiles } from "#service/files/content-files.ts";
import { FreeSpace } from "#service/files/free-space.ts";
import { LogFiles } from "#service/files/log-files.ts";
import { StoreError } from "#service/ports.ts";
import { SqliteStore } from "#service/store/sqlite-store.ts";
import { UsageError } from "./exit-code.ts";
import { CLOCK, LEASE_SECONDS, SERVICE_NAMES, serviceFolder } from "./service-state.ts";
import { cancelOnSignals } from "./signals.ts";

const DEFAULT_LISTEN = "127.0.0.1:8420";

/** Kept free for the logs and verdicts of jobs that run; below, nothing new is taken. */
const RESERVE_BYTES = 512 * 2 ** 20;

const EXPIRE_MS = 1000;

/** A stop takes no longer, whatever hangs. */
const STOP_MS = 10_000;

const HELP_AFTER = `
Keeps jobs, leases, hosts and tokens in the state folder, with their logs, inputs and
artifacts. It always listens on DIR/service.sock (mode 0660) as well. SIGTERM stops it
within 10 seconds; nothing that it acknowledged is lost.

Without TLS it listens on loopback addresses and Unix sockets only, unless --plain-http
says that the network between is trusted.

Examples:
  $ testbed service --state /srv/jobs
  $ testbed service --listen 127.0.0.1:8420 --listen '[::1]:8420'
  $ testbed service --listen '[2001:db8::7]:443' --tls-cert chain.pem --tls-key key.pem
  $ testbed token create ada --role submitter --state /srv/jobs > ada.token
`;

type Options = {
  state?: string;
  listen?: string[];
  tlsCert?: string;
  tlsKey?: string;
  plainHttp?: boolean;
};

/** `testbed service`. */
export function serviceCommand(version: string): Command {
  return new Command("service")
    .summary("run the job service")
    .description("Runs the central job service: people submit jobs to it, hosts lease them.")
    .option("--state <dir>", "the service's folder (default: service in the state folder)")
    .option("--listen <address...>", `where to listen, too (default: ${DEFAULT_LISTEN})`)
    .option("--tls-cert <file>", "certificate chain, PEM")
    .option("--tls-key <file>", "its key, PEM")
    .option("--plain-http", "allow HTTP without TLS beyond this machine")
    .addHelpText("after", HELP_AFTER)
    .action(async (options: Options) => {
      await serve(options, version);
    });
}

async function serve(options: Options, version: string): Promise<void> {
  const addresses = addressesOf(options);
  const certificate = await readCertificate(options);
  const folder = resolve(serviceFolder(options.state, readConfig().stateFolder));
  const socket = join(folder, SERVICE_NAMES.socket);
  if (Buffer.byteLength(socket) > SOCKET_PATH_BYTES_MAX)
    throw new UsageError(`${socket} is too long for a Unix socket; name a shorter --state`);
  using signals = cancelOnSignals(
    () => say("stopping"),
    () => process.exit(1),
  );
  await using scope = new AsyncDisposableStack();
  const api = await openService(folder, version, scope);
  await listenAt(api, [{ kind: "unix", path: socket }, ...addresses], certificate);
  say(`ready, state in ${folder}`);
  await new Promise((done) => signals.signal.addEventListener("abort", done, { once: true }));
  setTimeout(() => process.exit(1), STOP_MS).unref();
}

async function openService(
  folder: string,
  version: string,
  scope: AsyncDisposableStack,
): Promise<ServiceApi> {
  const files = join(folder, SERVICE_NAMES.files);
  await makeFolders(folder, 0o750);
  await makeFolders(files, 0o750);
  const path = join(folder, SERVICE_NAMES.database);
  const store = scope.use(
    await SqliteStore.open({ path, clock: CLOCK, leaseSeconds: LEASE_SECONDS }).catch(explain),
  );
  // Only now: another service on this folder would have its secret taken away.
  const localSecret = newSecret();
  await writeAtomically(join(folder, SERVICE_NAMES.localSecret), `${localSecret}\n`, 0o600);
  const api = scope.use(
    await ServiceApi.open({
      store,
      logs: new LogFiles(files),
      contents: new ContentFiles(files),
      space: new FreeSpace(files, RESERVE_BYTES),
      version,
      localSecret,
      onBug: (error) => say(`bug: ${error instanceof Error ? error.stack : String(error)}`),
    }),
  );
  let isLooking = false;
  const ticking = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    store
      .expire()
      .catch((error: Error) => say(`leases were not looked at: ${error.message}`))
      .finally(() => {
        isLooking = false;
      });
  }, EXPIRE_MS);
  scope.defer(() => clearInterval(ticking));
  return api;
}

async function listenAt(
  api: ServiceApi,
  addresses: readonly ListenAddress[],
  certificate: Certificate | undefined,
): Promise<void> {
  for (const address of addresses) {
    const taken = await api.listen(address, certificate).catch((error: Error) => {
      throw new UsageError(`cannot listen on ${listenAddressText(address)}: ${error.message}`);
    });
    say(`listens on ${listenAddressText(taken)}`);
  }
}

function addressesOf({ listen = [DEFAULT_LISTEN], ...options }: Options): ListenAddress[] {
  return listen.map((text) => {
    const address = parseListenAddress(text);
    if (address === undefined)
      throw new UsageError(
        `--listen ${text}: must be unix:/PATH, an IPv4 address or an IPv6 address in brackets, with a port`,
      );
    const isOpen = options.tlsCert !== undefined || options.plainHttp === true;
    if (!isLocal(address) && !isOpen)
      throw new UsageError(
        `--listen ${text} is beyond this machine: give --tls-cert and --tls-key, or --plain-http`,
      );
    return address;
  });
}

async function readCertificate({ tlsCert, tlsKey }: Options): Promise<Certificate | undefined> {
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageError("--tls-cert and --tls-key go together");
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const read = (path: string) =>
    readFile(path, "utf8").catch((error: Error) => {
      throw new UsageError(error.message);
    });
  return { cert: await read(tlsCert), key: await read(tlsKey) };
}

function explain(error: unknown): never {
  if (error instanceof StoreError) throw new UsageError(error.message);
  throw error;
}

function say(words: string): void {
  process.stderr.write(`testbed service: ${words}\n`);
}
