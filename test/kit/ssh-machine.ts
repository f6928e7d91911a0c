import type { Acceleration, Machine } from "#host/runner/ports.ts";
import type { Evidence } from "#job/fault.ts";

/** A machine that is nothing but an address on this host, for guests that are played by an SSH server here. */
export class LoopbackMachine implements Machine {
  readonly name = "testbed-00000000-0000000000000000";
  readonly acceleration: Acceleration = "kvm";
  readonly startedAtMs = performance.now();
  readonly #ended = new AbortController();
  addressList: readonly string[] = ["127.0.0.1"];
  consoleText = "Linux version 6.1\n";

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** What a guest or a host does to a machine. */
  end(reason: unknown): void {
    this.#ended.abort(reason);
  }

  readonly console = {
    size: async () => this.consoleText.length,
    tail: async (bytes: number) => Buffer.from(this.consoleText).subarray(-bytes),
    save: async () => 0,
    panic: async () => /Kernel panic - not syncing.*/.exec(this.consoleText)?.[0],
  };

  async addresses(): Promise<readonly string[]> {
    return this.addressList;
  }

  async screenshot(): Promise<undefined> {
    return undefined;
  }

  async isHung(): Promise<boolean> {
    return false;
  }

  async evidence(): Promise<Evidence> {
    return { leases: this.addressList };
  }

  keep(): void {}

  async [Symbol.asyncDispose](): Promise<void> {}
}
