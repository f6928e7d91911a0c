import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Console, Hypervisor, Machine, MachineOrder } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";

type Verb = "boot" | "dispose" | "list" | "remove";

/** Machines that are a line in a map, with a dial for faults. Keeps the contract in `test/contract/hypervisor.contract.ts`. */
export class FakeHypervisor implements Hypervisor {
  readonly machines = new Map<string, FakeMachine>();
  kvm = false;
  /** What machines that are booted from now on have on their console. */
  consoleText = "Linux version 6.1\n";
  readonly #failures = new Map<Verb, unknown>();

  /** The next call of a verb throws this. */
  failNext(verb: Verb, error: unknown): void {
    this.#failures.set(verb, error);
  }

  async offersKvm(): Promise<boolean> {
    return this.kvm;
  }

  async boot(order: MachineOrder, signal: AbortSignal): Promise<Machine> {
    signal.throwIfAborted();
    this.trip("boot");
    if (this.machines.has(order.name))
      throw new Fault("machine-refused", `${order.name} exists already`);
    const machine = new FakeMachine(this, order);
    this.machines.set(order.name, machine);
    return machine;
  }

  async list(installation: string): Promise<readonly string[]> {
    this.trip("list");
    const ours = [...this.machines.values()].filter(
      ({ order }) => order.identity.installation === installation,
    );
    return ours.map(({ name }) => name);
  }

  async remove(installation: string, name: string): Promise<void> {
    this.trip("remove");
    const machine = this.machines.get(name);
    if (machine?.order.identity.installation !== installation) return;
    this.machines.delete(name);
    machine.end(new Fault("machine-destroyed", `somebody destroyed ${name}`));
  }

  trip(verb: Verb): void {
    const error = this.#failures.get(verb);
    this.#failures.delete(verb);
    if (error !== undefined) throw error;
  }
}

export class FakeMachine implements Machine {
  readonly name: string;
  readonly order: MachineOrder;
  readonly acceleration: MachineOrder["acceleration"];
  readonly startedAtMs = performance.now();
  readonly console: Console;
  readonly #house: FakeHypervisor;
  readonly #ended = new AbortController();
  readonly #consolePath: string;
  #isKept = false;

  constructor(house: FakeHypervisor, order: MachineOrder) {
    this.#house = house;
    this.order = order;
    this.name = order.name;
    this.acceleration = order.acceleration;
    this.#consolePath = join(order.folder, "console.log");
    writeFileSync(this.#consolePath, house.consoleText);
    this.console = {
      size: async () => readFileSync(this.#consolePath).length,
      tail: async (bytes) => readFileSync(this.#consolePath).subarray(-bytes),
      save: async (path) => {
        const all = readFileSync(this.#consolePath);
        writeFileSync(path, all);
        return all.length;
      },
      panic: async () =>
        /Kernel panic - not syncing.*/.exec(readFileSync(this.#consolePath, "latin1"))?.[0],
    };
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** What a guest or a host does to a machine. */
  end(fault: Fault): void {
    this.#ended.abort(fault);
  }

  async addresses(): Promise<readonly string[]> {
    return [`fe80::1%fake${this.order.slot}`];
  }

  async screenshot(): Promise<Uint8Array | undefined> {
    return new Uint8Array([0x89, 0x50, 0x4e, 0x47]);
  }

  async evidence() {
    return { machineState: this.ended.aborted ? "shutoff" : "running" };
  }

  keep(): void {
    this.#isKept = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#house.trip("dispose");
    if (!this.#isKept) this.#house.machines.delete(this.name);
  }
}
