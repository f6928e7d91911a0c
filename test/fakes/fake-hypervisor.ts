import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { AdoptOrder, Console, Hypervisor, Machine, MachineOrder } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";

type Verb = "adopt" | "boot" | "dispose" | "list" | "remove";

/**
 * Machines that are a line in a map, with a dial for faults. They live in this object, so that a second daemon of the same
 * process can adopt what a first one booted. Keeps the contract in `test/contract/hypervisor.contract.ts`.
 */
export class FakeHypervisor implements Hypervisor {
  /** By name, the object that was made last for each. */
  readonly machines = new Map<string, FakeMachine>();
  kvm = false;
  /** What machines that are booted from now on have on their console. */
  consoleText = "Linux version 6.1\n";
  /** Names of machines that are defined and of whose run nothing is known. */
  readonly #unstarted = new Set<string>();
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
    const machine = new FakeMachine(this, order, performance.now());
    writeFileSync(consoleOf(order), this.consoleText);
    this.machines.set(order.name, machine);
    return machine;
  }

  async adopt(order: AdoptOrder, signal: AbortSignal): Promise<Machine | undefined> {
    signal.throwIfAborted();
    this.trip("adopt");
    const known = this.machines.get(order.name);
    if (known === undefined || this.#unstarted.has(order.name)) return undefined;
    if (!isDeepStrictEqual(known.order.identity, order.identity)) return undefined;
    known.letGo();
    const machine = new FakeMachine(this, order, order.startedAtMs);
    if (known.ended.aborted) machine.end(known.ended.reason);
    this.machines.set(order.name, machine);
    return machine;
  }

  /** The host was switched off and on: the machines are defined, and nobody knows how they ended. */
  rebootHost(): void {
    for (const machine of this.machines.values()) {
      machine.letGo();
      this.#unstarted.add(machine.name);
    }
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
    this.forget(name);
    machine.end(new Fault("machine-destroyed", `somebody destroyed ${name}`));
  }

  forget(name: string): void {
    this.machines.delete(name);
    this.#unstarted.delete(name);
  }

  trip(verb: Verb): void {
    const error = this.#failures.get(verb);
    this.#failures.delete(verb);
    if (error !== undefined) throw error;
  }
}

function consoleOf({ folder }: Pick<AdoptOrder, "folder">): string {
  return join(folder, "console.log");
}

export class FakeMachine implements Machine {
  readonly name: string;
  readonly order: AdoptOrder;
  readonly acceleration: AdoptOrder["acceleration"];
  readonly startedAtMs: number;
  readonly console: Console;
  readonly #house: FakeHypervisor;
  readonly #ended = new AbortController();
  #isKept = false;
  #isHung = false;

  constructor(house: FakeHypervisor, order: Omit<AdoptOrder, "startedAtMs">, startedAtMs: number) {
    this.#house = house;
    this.order = { ...order, startedAtMs };
    this.name = order.name;
    this.acceleration = order.acceleration;
    this.startedAtMs = startedAtMs;
    const path = consoleOf(this.order);
    this.console = {
      size: async () => readFileSync(path).length,
      tail: async (bytes) => readFileSync(path).subarray(-bytes),
      save: async (to) => {
        const all = readFileSync(path);
        writeFileSync(to, all);
        return all.length;
      },
      panic: async () => /Kernel panic - not syncing.*/.exec(readFileSync(path, "latin1"))?.[0],
    };
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** What a guest or a host does to a machine. */
  end(fault: Fault): void {
    this.#ended.abort(fault);
  }

  /** What SIGSTOP does to a QEMU process. */
  hang(): void {
    this.#isHung = true;
  }

  async isHung(): Promise<boolean> {
    return this.#isHung && !this.ended.aborted;
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

  /** Another object is this machine's from now on. */
  letGo(): void {
    this.keep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#house.trip("dispose");
    if (!this.#isKept) this.#house.forget(this.name);
  }
}
