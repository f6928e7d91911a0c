import { cpus, release } from "node:os";
import { join } from "node:path";
import { openLocalApi } from "#host/api/local-api.ts";
import { LOCAL_SOCKET } from "#host/api/local-routes.ts";
import { Daemon } from "#host/daemon/daemon.ts";
import type { DaemonLog } from "#host/daemon/daemon-log.ts";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import { openAttemptBook } from "#host/state/attempt-folders.ts";
import { openDrainFlag } from "#host/state/drain-flag.ts";
import { HttpUplink } from "#host/uplink/http-uplink.ts";
import { FileLock } from "#lib/file-lock.ts";
import type { HttpTarget } from "#lib/http-client.ts";
import { ServiceClient } from "#protocol/service-client.ts";
import { type DaemonSettings, LOCAL, type ServiceToUse } from "./daemon-settings.ts";
import { openEmbeddedService } from "./embedded-service.ts";
import { UsageError } from "./exit-code.ts";
import { type OpenHouse, openHouse } from "./house.ts";
import { listMachines } from "./our-machines.ts";

const LIST_MS = 30_000;

/** The whole daemon, until `stop` aborts: then it says what is left to be said, and everything is closed but the machines. */
export async function openDaemon(
  settings: DaemonSettings,
  version: string,
  stop: AbortSignal,
): Promise<void> {
  const { host, config } = settings;
  const log = stderrLog();
  await using scope = new AsyncDisposableStack();
  const house = scope.use(await openHouse(settings.house));
  const { path } = house.state;
  scope.use(takeDaemonLock(path));
  const { target, token } = await reach(settings.service, { host, version, log }, scope);
  const uplink = new HttpUplink(scope.use(new ServiceClient(target, token)), (trouble) => {
    if (trouble === undefined) log.info("the job service answers");
    else log.warn("the job service is away", { error: trouble });
  });
  const hostCpus = cpus().length;
  const { capacity, machines, images } = config;
  const daemon = new Daemon({
    host,
    house,
    uplink,
    log,
    hostCpus,
    versions: { testbed: version, node: process.versions.node, kernel: release() },
    labels: [`arch=${process.arch === "arm64" ? "aarch64" : "x86_64"}`, ...config.labels],
    limits: {
      slots: capacity.slots,
      cpus: capacity.cpus ?? hostCpus,
      memoryReserveMiB: capacity.memoryReserve,
      diskReserveMiB: capacity.diskReserve,
      loadMax: capacity.load,
    },
    mayEmulate: machines.emulation === "allowed",
    acceleration: settings.house.acceleration,
    logLimitBytes: settings.house.logLimitBytes,
    images: () => offered(house, images.build),
    book: await openAttemptBook(path),
    drain: await openDrainFlag(path),
  });
  const handlers = localHandlers(daemon, house);
  scope.use(await openLocalApi(join(path, LOCAL_SOCKET), handlers));
  log.info("ready", { host, state: path, version });
  await daemon.run(stop);
}

function takeDaemonLock(state: string): FileLock {
  const lock = FileLock.tryTake(join(state, STATE_NAMES.daemonLock));
  if (lock !== undefined) return lock;
  throw new UsageError(
    `another daemon works in ${state}; 'testbed host status' says what it does, or name another state folder`,
  );
}

async function reach(
  service: ServiceToUse,
  { host, version, log }: { host: string; version: string; log: DaemonLog },
  scope: AsyncDisposableStack,
): Promise<{ readonly target: HttpTarget; readonly token: string }> {
  if (service.kind === "remote") return service;
  const ears = {
    onListening: (address: string) => log.info("the embedded service listens", { address }),
    onBug: (error: unknown) => log.error("bug", { error }),
    onExpireFailed: (error: Error) => log.warn("leases were not looked at", { error }),
  };
  const opened = await openEmbeddedService(service.settings, { host, version, ears }, scope);
  return { target: { url: LOCAL, socketPath: opened.socketPath }, token: opened.token };
}

async function offered({ images }: OpenHouse, mayBuild: boolean) {
  const all = await images.offered();
  return all
    .filter(({ digest }) => mayBuild || digest !== undefined)
    .map((image) => ({ ...image }));
}

function localHandlers(daemon: Daemon, house: OpenHouse) {
  return {
    status: () => daemon.status(),
    drain: async ({ why = "somebody on this host said so" }: { why?: string }) => {
      await daemon.drain(why);
      return await daemon.status();
    },
    resume: async () => {
      await daemon.resume();
      return await daemon.status();
    },
    machines: async () => ({
      machines: await listMachines(house.state, house.hypervisor, AbortSignal.timeout(LIST_MS)),
    }),
    images: async () => ({ images: await house.images.offered() }),
  };
}

function stderrLog(): DaemonLog {
  const say =
    (level: string) =>
    (words: string, fields: object = {}) => {
      process.stderr.write(
        `${JSON.stringify({ level, time: new Date().toISOString(), msg: words, ...fields })}\n`,
      );
    };
  return { info: say("info"), warn: say("warn"), error: say("error") };
}
