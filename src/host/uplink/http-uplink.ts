import {
  type ArtifactFile,
  Fenced,
  type LogFile,
  NotTaken,
  type Uplink,
} from "#host/daemon/ports.ts";
import { NoAnswer } from "#lib/http-client.ts";
import { retry } from "#lib/retry.ts";
import type { Grant, LeaseRequest, RenewReply, RenewRequest } from "#protocol/lease.ts";
import { Refused } from "#protocol/refused.ts";
import type { ServiceClient } from "#protocol/service-client.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import type { WireInput } from "#protocol/wire-job.ts";
import { fetchInput } from "./fetch-input.ts";
import { sendArtifact } from "./send-artifact.ts";
import { LogSender } from "./send-log.ts";

const PAUSES = { firstMs: 500, longestMs: 30_000 } as const;

/** The job service over HTTP. */
export class HttpUplink implements Uplink {
  readonly #client: ServiceClient;
  readonly #onTrouble: (trouble: string | undefined) => void;
  readonly #logs: LogSender;
  #trouble: string | undefined;

  /** `onTrouble` hears when the service is away, and undefined when it is back. */
  constructor(client: ServiceClient, onTrouble: (trouble: string | undefined) => void) {
    this.#client = client;
    this.#onTrouble = onTrouble;
    this.#logs = new LogSender(client);
  }

  get trouble(): string | undefined {
    return this.#trouble;
  }

  async take(request: LeaseRequest, signal: AbortSignal): Promise<Grant | undefined> {
    const waitMs = request.waitSeconds * 1000;
    const ask = () => this.#client.json("takeLease", { json: request, waitMs, signal });
    return await this.#untilTaken(ask, signal);
  }

  async renew(lease: string, request: RenewRequest, signal: AbortSignal): Promise<RenewReply> {
    const ask = () => this.#client.json("renewLease", { path: { lease }, json: request, signal });
    return (await this.#untilTaken(ask, signal)) ?? { secondsLeft: 0 };
  }

  async fetchInput(lease: string, input: WireInput, path: string, signal: AbortSignal) {
    const order = { client: this.#client, lease, input, path };
    await this.#untilTaken(() => fetchInput(order, signal), signal);
  }

  async sendLog(lease: string, log: LogFile, signal: AbortSignal): Promise<number> {
    return await this.#untilTaken(() => this.#logs.send(lease, log, signal), signal);
  }

  async sendArtifact(lease: string, file: ArtifactFile, signal: AbortSignal): Promise<void> {
    const order = { client: this.#client, lease, file };
    await this.#untilTaken(() => sendArtifact(order, signal), signal);
  }

  async report(lease: string, report: VerdictReport, signal: AbortSignal) {
    const ask = () => this.#client.json("reportVerdict", { path: { lease }, json: report, signal });
    const reply = await this.#untilTaken(ask, signal);
    this.#logs.forget(lease);
    return reply?.job ?? "settled";
  }

  async #untilTaken<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const mayPass = (error: unknown) => {
      if (error instanceof Refused && error.slug === "fenced") throw new Fenced(error.message);
      const passes = error instanceof NoAnswer || (error instanceof Refused && error.isPassing);
      if (passes || isToken(error)) {
        this.#tell((error as Error).message);
        return error instanceof Refused ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
      }
      if (error instanceof Refused) throw new NotTaken(error.message, { cause: error });
      return undefined;
    };
    const done = await retry(work, mayPass, PAUSES, signal);
    this.#tell(undefined);
    return done;
  }

  #tell(trouble: string | undefined): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#onTrouble(trouble);
  }
}

/** A token may be put right at the service without this host's doing: what was accepted is delivered then. */
function isToken(error: unknown): boolean {
  return error instanceof Refused && (error.status === 401 || error.status === 403);
}
