import { cpus, release } from "node:os";
import { join } from "node:path";
import { UsageError } from "#cli/exit-code.ts";
import type { Household, Started } from "#cli/stay.ts";
import { type OpenHouse, openHouse } from "#cli/this-host/house.ts";
import { listMachines } from "#cli/this-host/our-machines.ts";
import type { DaemonConfig } from "#config/daemon-config.ts";
import { openLocalApi } from "#host/api/local-api.ts";
import { LOCAL_SOCKET } from "#host/api/local-routes.ts";
import { Daemon } from "#host/daemon/daemon.ts";
import type { DaemonStatus } from "#host/daemon/daemon-status.ts";
import { Quarantine } from "#host/daemon/quarantine.ts";
import { recoverStore } from "#host/images/store/recover.ts";
import type { TrialOutcome, TryOut } from "#host/runner/ports.ts";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import { openAttemptBook } from "#host/state/attempt-folders.ts";
import { openDrainFlag } from "#host/state/drain-flag.ts";
import { openQuarantineFile } from "#host/state/quarantine-file.ts";
import { HttpUplink } from "#host/uplink/http-uplink.ts";
import { FileLock } from "#lib/file-lock.ts";
import { bootId, uptimeMs } from "#lib/host-boot.ts";
import type { Log } from "#lib/log.ts";
import { ServiceClient } from "#protocol/service-client.ts";
import { daemonMetrics } from "./daemon-metrics.ts";
import type { DaemonSettings, ServiceToUse } from "./daemon-settings.ts";
import { keepHostInOrder } from "./daemon-upkeep.ts";
import { openEmbeddedService, type ServiceInUse } from "./embedded-service.ts";
import { imageHandlers } from "./image-desk.ts";
import { imagesChore } from "./images-chore.ts";

const LIST_MS = 30_000;

/** Removing the bytes of images that were on their way out takes a moment. */
const MEND_IMAGES_MS = 60_000;

/** EX_IOERR of sysexits.h(3head). */
const IO_ERROR = 74;

/** The log's line is written a moment later. */
const LAST_WORDS_MS = 100;

/** The smallest image that ships: seconds to build, seconds to boot. */
const HEALTH_IMAGE = "micro";

/**
 * The whole daemon, at work when this returns; the scope stops it, and everything is closed then but the machines, which are left to
 * the next daemon. Throws `UsageError` when another daemon works in its state folder.
 */
export async function openDaemon(
  settings: DaemonSettings,
  version: string,
  { log, scope, notifier }: Household,
): Promise<Started> {
  const { host, config } = settings;
  // Images are tried out in the room that attempts leave; until there is a daemon there is none.
  const trial = async (): Promise<TrialOutcome> => ({ kind: "skipped", why: "it is starting" });
  const machines: { tryOut: TryOut } = { tryOut: trial };
  const house = scope.use(
    await openHouse(settings.house, { tryOut: (...asked) => machines.tryOut(...asked) }),
  );
  const { path } = house.state;
  log.info("opening", { host, state: path });
  scope.use(takeDaemonLock(path));
  await putImagesInOrder(join(path, STATE_NAMES.images), log);
  const { target, token, answers } = await reach(
    settings.service,
    { host, version },
    { log, scope },
  );
  const uplink = new HttpUplink(scope.use(new ServiceClient(target, token)), (trouble) => {
    if (trouble === undefined) log.info("the job service answers");
    else log.warn("the job service is away", { detail: trouble });
    notifier.status(trouble ?? "working");
  });
  const daemon = new Daemon({
    ...partsOf(config, settings, version),
    house,
    uplink,
    log,
    die: (error) => {
      log.error("the daemon ends at once; the next start goes on", { error });
      setTimeout(() => process.exit(IO_ERROR), LAST_WORDS_MS);
    },
    // Recipes are built as root; elsewhere an admin builds them.
    images: () => offered(house, config.images.build && process.geteuid?.() === 0),
    book: await openAttemptBook(path),
    drain: await openDrainFlag(path),
    quarantine: await openQuarantine(path, config, log),
    healthImage: HEALTH_IMAGE,
  });
  machines.tryOut = (...asked) => daemon.tryOut(...asked);
  const ofImages = imagesChore(house, house.imagesConfig, log);
  const more = ofImages === undefined ? [] : [ofImages];
  const upkeep = scope.use(keepHostInOrder(daemon, house.state, config, log, more));
  const metrics = async () =>
    daemonMetrics({ version, daemon: await daemon.numbers(), upkeep: await upkeep.numbers() });
  const ofDesk = imageHandlers(house, house.imagesConfig, log);
  const handlers = { ...localHandlers(daemon, house), ...ofDesk, metrics };
  scope.use(await openLocalApi(join(path, LOCAL_SOCKET), handlers));
  const stop = new AbortController();
  const working = daemon.run(stop.signal);
  scope.defer(async () => {
    stop.abort(new Error("the daemon is told to stop"));
    await working;
  });
  return { status: async () => statusLine(await daemon.status()), answers };
}

function statusLine({ host, state, why, attempts, serviceTrouble }: DaemonStatus): string {
  const troubles = [why, serviceTrouble && `the job service: ${serviceTrouble}`];
  const words = [`${host} is ${state}`, `${attempts.length} attempts`, ...troubles];
  return words.filter((word) => word !== undefined).join("; ");
}

/** What of a daemon follows from its configuration alone. */
function partsOf(
  { capacity, labels, machines }: DaemonConfig,
  settings: DaemonSettings,
  version: string,
) {
  const hostCpus = cpus().length;
  return {
    host: settings.host,
    hostCpus,
    versions: { testbed: version, node: process.versions.node, kernel: release() },
    labels: [`arch=${process.arch === "arm64" ? "aarch64" : "x86_64"}`, ...labels],
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
  };
}

async function openQuarantine(state: string, { quarantine }: DaemonConfig, log: Log) {
  const { after, firstPause, longestPause } = quarantine;
  const order = { after, firstPauseMs: firstPause * 1000, longestPauseMs: longestPause * 1000 };
  const clock = { boot: await bootId(), uptimeMs };
  return new Quarantine(await openQuarantineFile(state), order, clock, log);
}

/** What a crash or a hand left of the image store; whatever is wrong with it, the daemon goes on: a job that needs an image will say. */
async function putImagesInOrder(store: string, log: Log): Promise<void> {
  const signal = AbortSignal.timeout(MEND_IMAGES_MS);
  const mended = await recoverStore(store, signal).catch((error: Error) => [error.message]);
  for (const detail of mended) log.warn("the image store was put in order", { detail });
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
  who: { readonly host: string; readonly version: string },
  household: Pick<Household, "log" | "scope">,
): Promise<ServiceInUse> {
  if (service.kind === "embedded")
    return await openEmbeddedService(service.settings, who, household);
  return { ...service, answers: async () => undefined };
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
  };
}
