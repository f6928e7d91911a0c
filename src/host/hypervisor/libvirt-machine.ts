import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { AdoptOrder, Machine } from "#host/runner/ports.ts";
import { type Evidence, Fault } from "#job/fault.ts";
import { retry } from "#lib/retry.ts";
import type { Libvirt } from "#libvirt/client.ts";
import { LibvirtConnectionError, LibvirtError, LibvirtTimeoutError } from "#libvirt/error.ts";
import type { DomainRef } from "#libvirt/protocol-values.ts";
import { consolePath } from "./domain-xml.ts";
import { spaceReturns } from "./full-disk.ts";
import { guestAddresses } from "./guest-addresses.ts";
import { isHung } from "./hang.ts";
import { faultOfStop, type MachineStop, stopOfState } from "./machine-end.ts";
import { AWAY_MS, removeDomain } from "./remove-domain.ts";
import { SerialConsole } from "./serial-console.ts";
import type { SlotNetwork } from "./slot-network.ts";

/** One file for each machine that ever was, of what QEMU said (https://libvirt.org/drvqemu.html, "Logging"). */
const QEMU_LOGS = "/var/log/libvirt/qemu";
const NEIGHBOURS_EVERY_MS = 2_000;
const EVIDENCE_MS = 3_000;
const SCREENSHOT_BYTES_MAX = 16 * 2 ** 20;

/** How long after its start libvirtd may still find out about its machines, 3 s on an idle host; and how often it is asked. */
const DOUBT_MS = 60_000;
const LOOK_EVERY_MS = 1_500;

/** Between two looks at a machine when libvirt was away or busy. */
const PAUSES = { firstMs: 100, longestMs: 2_000 };

/** What a machine's object is made of. */
export type MachineParts = {
  readonly libvirt: Libvirt;
  readonly domain: DomainRef;
  readonly order: AdoptOrder;
  readonly network: SlotNetwork;
  /** Opens another connection to the same libvirt, within so many milliseconds. */
  readonly open: (timeoutMs: number) => Promise<Libvirt>;
  readonly onDisposed: () => void;
};

/** A machine that libvirt runs. `LiveMachines` tells it what libvirt's events say. */
export class LibvirtMachine implements Machine {
  readonly name: string;
  readonly acceleration: AdoptOrder["acceleration"];
  readonly startedAtMs: number;
  readonly console: SerialConsole;
  readonly domain: DomainRef;
  readonly #libvirt: Libvirt;
  readonly #network: SlotNetwork;
  readonly #ended = new AbortController();
  readonly #open: MachineParts["open"];
  readonly #onDisposed: () => void;
  readonly #folder: string;
  readonly #closing = new AbortController();
  #isKept = false;
  #isPaused = false;
  #isEndedByHost = false;
  #isLooking = false;
  #doubtEndsMs = 0;
  #addresses: readonly string[] | undefined;
  #addressesAtMs = 0;

  constructor(made: MachineParts) {
    this.name = made.order.name;
    this.acceleration = made.order.acceleration;
    this.startedAtMs = made.order.startedAtMs;
    this.console = new SerialConsole(consolePath(made.order.folder));
    this.domain = made.domain;
    this.#folder = made.order.folder;
    this.#libvirt = made.libvirt;
    this.#network = made.network;
    this.#open = made.open;
    this.#onDisposed = made.onDisposed;
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Notes that the machine stopped; only the first time counts. */
  end(stop: MachineStop): void {
    const how = stop === "shutdown" && this.#isEndedByHost ? "ended-by-host" : stop;
    if (!this.ended.aborted) this.#ended.abort(faultOfStop(this.name, how));
  }

  /** Notes that the stop which comes next is not the guest's doing. */
  expectEndByHost(): void {
    this.#isEndedByHost = true;
  }

  /** Handles a write or read of the guest's disk that failed on this host and paused the guest. */
  async onDiskError(reason: string): Promise<void> {
    if (this.#isPaused || this.ended.aborted) return;
    this.#isPaused = true;
    try {
      if (reason !== "enospc") return this.end("disk-error");
      const hasSpace = await spaceReturns(this.#folder, this.#closing.signal);
      if (!hasSpace) return this.end("disk-full");
      await this.#libvirt.domains.resume(this.domain).catch(() => undefined);
    } finally {
      this.#isPaused = false;
    }
  }

  /** Looks at libvirt's state of the machine, and sees to what that asks for. Throws what libvirt's calls throw. */
  async look(signal: AbortSignal): Promise<void> {
    try {
      const { state, reason } = await this.#libvirt.domains.state(this.domain, { signal });
      const stop = stopOfState(state, reason);
      if (stop !== undefined) this.end(stop);
      // Not awaited: it waits for space. It never throws.
      else if (state === "paused" && reason === "io-error")
        void this.onDiskError(await this.#diskProblem(signal));
    } catch (error) {
      if (!(error instanceof LibvirtError) || error.codeName !== "VIR_ERR_NO_DOMAIN") throw error;
      this.end("gone");
    }
  }

  /**
   * Looks, since a stop while nobody listened sends no event, and goes on looking for a while: a libvirtd that was just started
   * has a machine as running until it has asked its QEMU, and sends no event when it finds that dead. Returns at once; twice
   * begins the while again. Never throws.
   */
  lookAgain(): void {
    this.#doubtEndsMs = performance.now() + DOUBT_MS;
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#lookOften().finally(() => {
      this.#isLooking = false;
    });
  }

  /** Asked some times a second while a guest boots; the neighbours, for which a program is started, are looked up less often. */
  async addresses(): Promise<readonly string[]> {
    const nowMs = performance.now();
    if (this.#addresses === undefined || nowMs - this.#addressesAtMs > NEIGHBOURS_EVERY_MS) {
      this.#addresses = await guestAddresses(this.#network);
      this.#addressesAtMs = nowMs;
    }
    return this.#addresses;
  }

  async screenshot(signal: AbortSignal): Promise<Uint8Array | undefined> {
    try {
      const { bytes } = await this.#libvirt.domains.screenshot(this.domain, {
        signal,
        bytesMax: SCREENSHOT_BYTES_MAX,
      });
      return bytes;
    } catch (error) {
      if (error instanceof LibvirtError) return undefined;
      throw error;
    }
  }

  async isHung(): Promise<boolean> {
    return await isHung(this.#open, this.domain).catch(() => false);
  }

  async evidence(): Promise<Evidence> {
    const options = { timeoutMs: EVIDENCE_MS };
    const [state, leases] = await Promise.allSettled([
      this.#libvirt.domains.state(this.domain, options),
      this.#leases(options),
    ]);
    return {
      bridge: this.#network.bridge,
      ...(state.status === "fulfilled" ? { machineState: state.value.state } : {}),
      ...(leases.status === "fulfilled" ? { leases: leases.value } : {}),
    };
  }

  keep(): void {
    this.#isKept = true;
  }

  /** Another object is this machine's from now on. */
  letGo(): void {
    this.keep();
    this.#closing.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#onDisposed();
    if (this.#isKept) return;
    const isGood = !this.ended.aborted;
    await removeDomain(this.#libvirt, this.domain, AWAY_MS);
    // Of a machine that ended by itself it may say why, and is left to logrotate.
    if (isGood)
      await rm(join(QEMU_LOGS, `${this.name}.log`), { force: true }).catch(() => undefined);
  }

  async #lookOften(): Promise<void> {
    const { signal } = this.#closing;
    try {
      while (!this.ended.aborted && performance.now() < this.#doubtEndsMs) {
        await retry(() => this.look(signal), mayPass, PAUSES, signal);
        await delay(LOOK_EVERY_MS, undefined, { signal, ref: false });
      }
    } catch {
      // Disposed, or libvirt has something against the question: events are what is left.
    }
  }

  /** Why the disk paused the guest, in the words of libvirt's event: the event itself went by unheard. */
  async #diskProblem(signal: AbortSignal): Promise<string> {
    const errors = await this.#libvirt.domains.diskErrors(this.domain, { signal });
    return errors.some(({ error }) => error === "no-space") ? "enospc" : "";
  }

  async #leases(options: { timeoutMs: number }): Promise<readonly string[]> {
    const network = await this.#libvirt.networks.lookupByName(this.#network.name, options);
    if (network === undefined)
      throw new Fault("network-unavailable", `no network ${this.#network.name}`);
    const leases = await this.#libvirt.networks.leases(network, options);
    return leases.map(({ address, mac }) => `${mac ?? "?"} ${address}`);
  }
}

/** No answer is none yet, unless the connection is closed for good. */
function mayPass(error: unknown): number | undefined {
  if (error instanceof LibvirtTimeoutError) return 0;
  return error instanceof LibvirtConnectionError && error.trouble !== "closed" ? 0 : undefined;
}
