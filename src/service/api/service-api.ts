import type { ListenAddress } from "#lib/listen-address.ts";
import type { Contents, Logs, Space } from "#service/file-ports.ts";
import type { Store, UpkeepNumbers } from "#service/ports.ts";
import { BodyBudget } from "./body-budget.ts";
import { Gate, hashOf } from "./gate.ts";
import { type HttpApp, openHttpApp } from "./http-app.ts";
import { JobChanges } from "./job-changes.ts";
import { LeaseWaiters } from "./lease-waiters.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { type Certificate, type Listener, listen } from "./listener.ts";
import { Metrics } from "./metrics.ts";
import type { Remarks } from "./remarks.ts";

/** How long requests that run may take to end when the service stops; the rest of ten seconds is the store's. */
const GRACE_MS = 5_000;

/** What the API is made of. The caller owns store and files, and closes them after the API. */
export type ServiceApiOptions = {
  readonly store: Store;
  readonly logs: Logs;
  readonly contents: Contents;
  readonly space: Space;
  readonly version: string;
  /** Makes an admin of whoever asks with it through a Unix socket. */
  readonly localSecret: string;
  readonly limits?: Partial<Limits>;
  readonly remarks: Remarks;
  /** Who keeps order, for the metrics. */
  readonly upkeep?: { numbers(): UpkeepNumbers };
};

/** The HTTP API of the job service, on any number of addresses. */
export class ServiceApi implements AsyncDisposable {
  readonly #app: HttpApp;
  readonly #limits: Limits;
  readonly #waiters: LeaseWaiters;
  readonly #stopping: AbortController;
  readonly #listeners: Listener[] = [];

  private constructor(
    app: HttpApp,
    limits: Limits,
    { waiters, stopping }: { waiters: LeaseWaiters; stopping: AbortController },
  ) {
    this.#app = app;
    this.#limits = limits;
    this.#waiters = waiters;
    this.#stopping = stopping;
  }

  /** An API that listens nowhere yet. */
  static async open({ localSecret, ...options }: ServiceApiOptions): Promise<ServiceApi> {
    const limits = { ...LIMITS, ...options.limits };
    const stopping = new AbortController();
    const waiters = new LeaseWaiters(options.store);
    const rooms = {
      ...options,
      limits,
      waiters,
      gate: new Gate(options.store, limits, hashOf(localSecret)),
      changes: new JobChanges(),
      metrics: new Metrics(),
      bodies: new BodyBudget(limits.bodies),
    };
    const app = await openHttpApp(rooms, stopping.signal);
    return new ServiceApi(app, limits, { waiters, stopping });
  }

  /** Begins to listen on one more address; returns it with the port that was taken. See `listen` for what it throws. */
  async listen(address: ListenAddress, certificate?: Certificate): Promise<ListenAddress> {
    const listener = await listen(this.#app, address, {
      limits: this.#limits,
      ...(certificate === undefined ? {} : { certificate }),
    });
    this.#listeners.push(listener);
    return listener.address;
  }

  /** Takes nothing new, ends long polls and streams, lets requests end for five seconds, closes. Twice is safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#waiters[Symbol.dispose]();
    await Promise.all(this.#listeners.map((listener) => listener.close(GRACE_MS)));
    await this.#app[Symbol.asyncDispose]();
  }
}
