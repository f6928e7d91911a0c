import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AdoptOrder, Console, Hypervisor, Machine, MachineOrder } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { stopProcesses } from "./durable-guests.ts";

const LOOK_MS = 50;

/**
 * Machines that outlive the process that made them, as libvirt's do: each is a folder below `folder`, for as long as it exists. What
 * runs in them are processes of this host; see `DurableGuests`. Keeps the contract in `test/contract/hypervisor.contract.ts`.
 */
export class DurableHypervisor implements Hypervisor {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  async offersKvm(): Promise<boolean> {
    return false;
  }

  async boot(order: MachineOrder, signal: AbortSignal): Promise<Machine> {
    signal.throwIfAborted();
    const home = join(this.#folder, order.name);
    if (existsSync(home)) throw new Fault("machine-refused", `${order.name} exists already`);
    mkdirSync(home);
    writeFileSync(join(home, "installation"), order.identity.installation);
    writeFileSync(join(order.folder, "console.log"), "Linux version 6.1\n");
    return new DurableMachine(this.#folder, { ...order, startedAtMs: performance.now() });
  }

  async adopt(order: AdoptOrder, signal: AbortSignal): Promise<Machine | undefined> {
    signal.throwIfAborted();
    if (!this.#isOf(order.identity.installation, order.name)) return undefined;
    return new DurableMachine(this.#folder, order);
  }

  async list(installation: string): Promise<readonly string[]> {
    return readdirSync(this.#folder).filter((name) => this.#isOf(installation, name));
  }

  async remove(installation: string, name: string): Promise<void> {
    if (this.#isOf(installation, name)) await destroy(join(this.#folder, name));
  }

  #isOf(installation: string, name: string): boolean {
    const path = join(this.#folder, name, "installation");
    return existsSync(path) && readFileSync(path, "utf8") === installation;
  }
}

class DurableMachine implements Machine {
  readonly name: string;
  readonly acceleration: MachineOrder["acceleration"];
  readonly startedAtMs: number;
  readonly console: Console;
  readonly #home: string;
  readonly #slot: number;
  readonly #ended = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #isKept = false;

  constructor(folder: string, order: AdoptOrder) {
    this.name = order.name;
    this.acceleration = order.acceleration;
    this.startedAtMs = order.startedAtMs;
    this.#home = join(folder, order.name);
    this.#slot = order.slot;
    const path = join(order.folder, "console.log");
    this.console = {
      size: async () => readFileSync(path).length,
      tail: async (bytes) => readFileSync(path).subarray(-bytes),
      save: async (target) => {
        const all = readFileSync(path);
        writeFileSync(target, all);
        return all.length;
      },
      panic: async () => undefined,
    };
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
    this.#look();
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  async addresses(): Promise<readonly string[]> {
    return [`fe80::1%fake${this.#slot}`];
  }

  async screenshot(): Promise<Uint8Array | undefined> {
    return undefined;
  }

  async evidence() {
    return { machineState: this.ended.aborted ? "shutoff" : "running" };
  }

  async isHung(): Promise<boolean> {
    return false;
  }

  keep(): void {
    this.#isKept = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    if (!this.#isKept) await destroy(this.#home);
  }

  #look(): void {
    if (existsSync(this.#home)) return;
    clearInterval(this.#timer);
    const says = `somebody destroyed and undefined ${this.name}`;
    if (!this.ended.aborted) this.#ended.abort(new Fault("machine-destroyed", says));
  }
}

async function destroy(home: string): Promise<void> {
  await stopProcesses(home);
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
}
