import { Daemon, type DaemonParts } from "#host/daemon/daemon.ts";
import { Quarantine, type QuarantineOrder } from "#host/daemon/quarantine.ts";
import type { Guests, Hypervisor, Images } from "#host/runner/ports.ts";
import { openStateFolder } from "#host/runner/state-folder.ts";
import { openAttemptBook } from "#host/state/attempt-folders.ts";
import { openDrainFlag } from "#host/state/drain-flag.ts";
import { openQuarantineFile } from "#host/state/quarantine-file.ts";
import { HttpUplink } from "#host/uplink/http-uplink.ts";
import { bootId, uptimeMs } from "#lib/host-boot.ts";
import type { Log } from "#lib/log.ts";
import { ServiceClient } from "#protocol/service-client.ts";
import { FakeGuests } from "#test/fakes/fake-guests.ts";
import { FakeHypervisor } from "#test/fakes/fake-hypervisor.ts";
import { FakeImages } from "#test/fakes/fake-images.ts";
import { PAPER_IMAGE } from "./orders.ts";
import { saidLog } from "./said-log.ts";

/** Where a paper daemon works, and for whom. */
export type PaperDaemonOrder = {
  readonly host: string;
  readonly state: string;
  readonly url: string;
  readonly token: string;
};

type Rooms = {
  readonly hypervisor: Hypervisor;
  readonly guests: Guests;
  readonly images: Images;
};

/** A real daemon with real state that speaks to a real service, over machines, guests and images on paper. */
export async function paperDaemon(order: PaperDaemonOrder, changes: Partial<DaemonParts> = {}) {
  const rooms = {
    hypervisor: new FakeHypervisor(),
    guests: new FakeGuests(),
    images: new FakeImages(),
  };
  return await daemonOver(rooms, order, changes);
}

/** The same over any rooms. */
export async function daemonOver<T extends Rooms>(
  rooms: T,
  { host, state: path, url, token }: PaperDaemonOrder,
  changes: Partial<DaemonParts> = {},
) {
  const state = await openStateFolder(path);
  const client = new ServiceClient({ url: new URL(url) }, token);
  const { log, lines } = saidLog();
  const uplink = new HttpUplink(client, () => undefined);
  const daemon = new Daemon({
    host,
    hostCpus: 64,
    versions: { testbed: "0.1.0", node: "24.0.0" },
    labels: ["arch=x86_64"],
    limits: { slots: 2, cpus: 8, memoryReserveMiB: 512, diskReserveMiB: 256, loadMax: 1000 },
    mayEmulate: true,
    acceleration: "tcg",
    logLimitBytes: 2 ** 20,
    house: { state, ...rooms },
    uplink,
    images: async () => {
      const { name, version, digest, memoryMiBMin } = PAPER_IMAGE;
      return [{ name, version, digest, memoryMiBMin }];
    },
    book: await openAttemptBook(path),
    drain: await openDrainFlag(path),
    quarantine: await paperQuarantine(path, log),
    healthImage: PAPER_IMAGE.name,
    log,
    die: (error) => {
      throw error;
    },
    ...changes,
  });
  const stop = new AbortController();
  return {
    daemon,
    uplink,
    ...rooms,
    /** What it said of itself. */
    lines,
    run: () => daemon.run(stop.signal),
    stop: () => stop.abort(new Error("the test is over")),
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

/** A daemon of this kind. */
export type PaperDaemon = Awaited<ReturnType<typeof paperDaemon>>;

/** A real quarantine with its file; by default its pauses take milliseconds where a real host's take minutes. */
export async function paperQuarantine(
  state: string,
  log: Log,
  order: Partial<QuarantineOrder> = {},
): Promise<Quarantine> {
  const clock = { boot: await bootId(), uptimeMs };
  const short = { after: 3, firstPauseMs: 300, longestPauseMs: 1000 };
  return new Quarantine(await openQuarantineFile(state), { ...short, ...order }, clock, log);
}
