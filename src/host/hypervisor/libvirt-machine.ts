import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Machine, MachineOrder } from "#host/runner/ports.ts";
import { type Evidence, Fault } from "#job/fault.ts";
import type { Libvirt } from "#libvirt/client.ts";
import { LibvirtError } from "#libvirt/error.ts";
import type { DomainRef } from "#libvirt/protocol-values.ts";
import { consolePath } from "./domain-xml.ts";
import { spaceReturns } from "./full-disk.ts";
import { guestAddresses } from "./guest-addresses.ts";
import { faultOfStop, type MachineStop, stopOfState } from "./machine-end.ts";
import { removeDomain } from "./remove-domain.ts";
import { SerialConsole } from "./serial-console.ts";
import type { SlotNetwork } from "./slot-network.ts";

/** One file for each machine that ever was, of what QEMU said (https://libvirt.org/drvqemu.html, "Logging"). */
const QEMU_LOGS = "/var/log/libvirt/qemu";
const NEIGHBOURS_EVERY_MS = 2_000;
const EVIDENCE_MS = 3_000;
const SCREENSHOT_BYTES_MAX = 16 * 2 ** 20;

/** A machine that libvirt runs. `LibvirtHypervisor` tells it what libvirt's events say. */
export class LibvirtMachine implements Machine {
  readonly name: string;
  readonly acceleration: MachineOrder["acceleration"];
  readonly startedAtMs: number;
  readonly console: SerialConsole;
  readonly domain: DomainRef;
  readonly #libvirt: Libvirt;
  readonly #network: SlotNetwork;
  readonly #ended = new AbortController();
  readonly #onDisposed: () => void;
  readonly #folder: string;
  readonly #closing = new AbortController();
  #isKept = false;
  #isPaused = false;
  #isEndedByHost = false;
  #addresses: readonly string[] | undefined;
  #addressesAtMs = 0;

  constructor(made: {
    libvirt: Libvirt;
    domain: DomainRef;
    order: MachineOrder;
    network: SlotNetwork;
    startedAtMs: number;
    onDisposed: () => void;
  }) {
    this.name = made.order.name;
    this.acceleration = made.order.acceleration;
    this.startedAtMs = made.startedAtMs;
    this.console = new SerialConsole(consolePath(made.order.folder));
    this.domain = made.domain;
    this.#folder = made.order.folder;
    this.#libvirt = made.libvirt;
    this.#network = made.network;
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

  /** Asks libvirt for the machine's state, since a stop while nobody listened sends no event. */
  async lookAgain(): Promise<void> {
    try {
      const { state, reason } = await this.#libvirt.domains.state(this.domain);
      const stop = stopOfState(state, reason);
      if (stop !== undefined) this.end(stop);
    } catch (error) {
      if (error instanceof LibvirtError && error.codeName === "VIR_ERR_NO_DOMAIN") this.end("gone");
    }
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

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#onDisposed();
    if (this.#isKept) return;
    const isGood = !this.ended.aborted;
    await removeDomain(this.#libvirt, this.domain);
    // Of a machine that ended by itself it may say why, and is left to logrotate.
    if (isGood)
      await rm(join(QEMU_LOGS, `${this.name}.log`), { force: true }).catch(() => undefined);
  }

  async #leases(options: { timeoutMs: number }): Promise<readonly string[]> {
    const network = await this.#libvirt.networks.lookupByName(this.#network.name, options);
    if (network === undefined)
      throw new Fault("network-unavailable", `no network ${this.#network.name}`);
    const leases = await this.#libvirt.networks.leases(network, options);
    return leases.map(({ address, mac }) => `${mac ?? "?"} ${address}`);
  }
}
