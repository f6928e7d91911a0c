import type { GuestPlace } from "#host/runner/guest-port.ts";
import type { Machine } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { printable } from "#lib/printable.ts";
import { type Credentials, SshConnection } from "./connection.ts";
import { consoleTail } from "./console-tail.ts";
import { dial, pause } from "./dial.ts";
import type { GuestOptions } from "./guest-options.ts";
import { installRunner } from "./runner.ts";
import { ConnectionLost, ConnectionRefused, LoginRefused, WrongHostKey } from "./ssh-errors.ts";

const CONNECT_MS = 3000;
const BACKOFF_MS_FIRST = 50;
const BACKOFF_MS_MAX = 2000;
/** Work that loses its connection within a second, this often in a row: the guest only plays with us. */
const QUICK_LOSSES_MAX = 10;

export type LinkOrder = {
  readonly machine: Machine;
  readonly place: GuestPlace;
  readonly credentials: Credentials;
  /** The one that found the guest; undefined for a guest that an earlier process found. */
  readonly connection: SshConnection | undefined;
  readonly options: GuestOptions;
};

/** One guest through as many connections as it takes. Each new one checks the host key and that the guest did not reboot. */
export class GuestLink implements Disposable {
  readonly place: GuestPlace;
  readonly options: GuestOptions;
  readonly #order: LinkOrder;
  readonly #letGo = new AbortController();
  #connection: SshConnection | undefined;

  constructor(order: LinkOrder) {
    this.#order = order;
    this.place = order.place;
    this.options = order.options;
    this.#connection = order.connection;
  }

  /** Aborts when the machine under the guest has ended. */
  get ended(): AbortSignal {
    return this.#order.machine.ended;
  }

  /** Whether there is a connection that has not been found lost. A guest that froze is found out some 30 s later. */
  get isConnected(): boolean {
    return this.#live() !== undefined;
  }

  /** Whether this was disposed: nobody here has a say in what the guest does any more. */
  get isLetGo(): boolean {
    return this.#letGo.signal.aborted;
  }

  /** What to throw of a guest that no longer answers, said by whoever asked it: guest-unreachable or guest-panicked. */
  async unanswered(when: string): Promise<Fault> {
    const message = `the guest stopped answering ${when}`;
    return await this.#fault("guest-unreachable", new ConnectionLost(message), message);
  }

  /**
   * Does some work over a connection, and again from the start over the next one when that is lost; the work itself must
   * know how far it came. Throws what the work throws, the signal's reason, whatever ended the machine, that
   * the guest was let go of, or guest-unreachable, guest-sshd-gone, guest-panicked, guest-runner-lost.
   */
  async use<T>(
    work: (connection: SshConnection, signal: AbortSignal) => Promise<T>,
    callerSignal: AbortSignal,
  ): Promise<T> {
    const signal = AbortSignal.any([callerSignal, this.ended, this.#letGo.signal]);
    for (let quickLosses = 0; ; ) {
      signal.throwIfAborted();
      const connection = await this.#connected(signal);
      const startedAtMs = performance.now();
      try {
        return await work(connection, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ConnectionLost)) throw error;
        quickLosses = performance.now() - startedAtMs < 1000 ? quickLosses + 1 : 0;
        if (quickLosses >= QUICK_LOSSES_MAX) {
          throw new Fault("guest-unreachable", "the guest drops every connection", {
            cause: error,
          });
        }
        connection[Symbol.dispose]();
        await pause(quickLosses * BACKOFF_MS_FIRST, signal);
      }
    }
  }

  /** Closes the connection and ends all work over it. Twice is safe. */
  [Symbol.dispose](): void {
    this.#letGo.abort(new Error("the guest was let go of"));
    this.#connection?.[Symbol.dispose]();
  }

  /** The connection that there is, or the next one. Two may want it at once: who comes second takes the first one's. */
  async #connected(signal: AbortSignal): Promise<SshConnection> {
    const there = this.#live();
    if (there !== undefined) return there;
    const made = await this.#reconnect(signal);
    const others = this.#live();
    if (others === undefined && !this.isLetGo) {
      this.#connection = made;
      return made;
    }
    made[Symbol.dispose]();
    this.#letGo.signal.throwIfAborted();
    return others ?? made;
  }

  #live(): SshConnection | undefined {
    return this.#connection?.lost.aborted === false ? this.#connection : undefined;
  }

  async #reconnect(signal: AbortSignal): Promise<SshConnection> {
    const { unreachableSeconds, sshdGoneSeconds } = this.options;
    const startedAtMs = performance.now();
    let refusedAtMs: number | undefined;
    for (let backoffMs = BACKOFF_MS_FIRST; ; backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX)) {
      try {
        return await this.#connect(signal);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof Fault) throw error;
        const now = performance.now();
        const isRefused = error instanceof ConnectionRefused || error instanceof LoginRefused;
        refusedAtMs = isRefused ? (refusedAtMs ?? now) : undefined;
        if (refusedAtMs !== undefined && now - refusedAtMs > sshdGoneSeconds * 1000) {
          throw await this.#fault("guest-sshd-gone", error);
        }
        if (now - startedAtMs > unreachableSeconds * 1000) {
          throw await this.#fault("guest-unreachable", error);
        }
      }
      await pause(backoffMs, signal);
    }
  }

  async #connect(signal: AbortSignal): Promise<SshConnection> {
    const { credentials, place, machine } = this.#order;
    const factor = machine.acceleration === "tcg" ? this.options.emulationFactor : 1;
    const handshakeMs = this.options.handshakeSeconds * 1000 * factor;
    const { socket } = await dial({
      address: place.address,
      port: this.options.port,
      connectMs: CONNECT_MS,
      bannerMs: handshakeMs,
      signal,
    });
    const connection = await open(socket, credentials, { handshakeMs, signal });
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(handshakeMs)]);
      const current = await installRunner(connection, this.options, "/", limit).catch((error) => {
        throw limit.aborted && !signal.aborted
          ? new ConnectionLost("no answer to a command")
          : error;
      });
      if (current === place.bootId) return connection;
      const when = this.#connection === undefined ? "nobody was connected" : "a step ran";
      throw new Fault("guest-runner-lost", `the guest rebooted while ${when}`, {
        evidence: { bootBefore: place.bootId, bootNow: current },
      });
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  async #fault(
    code: "guest-sshd-gone" | "guest-unreachable",
    cause: unknown,
    unreachable = "the guest stopped answering",
  ): Promise<Fault> {
    const { machine } = this.#order;
    const panic = await machine.console.panic().catch(() => undefined);
    const evidence = {
      lastError: printable((cause as Error).message, 500),
      console: await consoleTail(machine),
      ...(await machine.evidence()),
    };
    if (panic !== undefined) {
      return new Fault("guest-panicked", `the guest's kernel panicked: ${printable(panic, 300)}`, {
        cause,
        evidence,
      });
    }
    const message =
      code === "guest-sshd-gone"
        ? "the guest lives but its SSH server takes no more connections: did the job stop it?"
        : unreachable;
    return new Fault(code, message, { cause, evidence });
  }
}

async function open(...args: Parameters<typeof SshConnection.open>): Promise<SshConnection> {
  try {
    return await SshConnection.open(...args);
  } catch (error) {
    if (!(error instanceof WrongHostKey)) throw error;
    throw new Fault("guest-wrong-host-key", "the guest shows another host key than before", {
      cause: error,
    });
  }
}
