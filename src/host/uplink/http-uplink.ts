import {
  type ArtifactFile,
  Fenced,
  type LogFile,
  NotTaken,
  type Uplink,
} from "#host/daemon/ports.ts";
import { NoAnswer } from "#lib/http-client.ts";
import { type Pauses, retry } from "#lib/retry.ts";
import type { Grant, LeaseRequest, RenewReply, RenewRequest } from "#protocol/lease.ts";
import { Refused } from "#protocol/refused.ts";
import type { ServiceClient } from "#protocol/service-client.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import type { WireInput } from "#protocol/wire-job.ts";
import { checkGrant } from "./check-grant.ts";
import { fetchInput } from "./fetch-input.ts";
import { sendArtifact } from "./send-artifact.ts";
import { LogSender } from "./send-log.ts";

const PAUSES: Pauses = { firstMs: 500, longestMs: 30_000 };

/** A service may ask for longer pauses, but not for any. */
const RETRY_AFTER_MS_MAX = 300_000;

/** A service that went wrong may be mended or restarted; after so many tries, some minutes, the question itself is thought to be the reason. */
const BUGS_MAX = 10;

/** The job service over HTTP. Only what says in the protocol's own words that it is final is believed to be: a proxy's page never is. */
export class HttpUplink implements Uplink {
  readonly #client: ServiceClient;
  readonly #onTrouble: (trouble: string | undefined) => void;
  readonly #logs: LogSender;
  readonly #pauses: Pauses;
  #trouble: string | undefined;
  /** The service of testbed 0.1.0 refuses words that it does not know, and this one is for people. */
  #knowsHold = true;

  /** `onTrouble` hears when the service is away, and undefined when it is back. */
  constructor(
    client: ServiceClient,
    onTrouble: (trouble: string | undefined) => void,
    pauses: Pauses = PAUSES,
  ) {
    this.#client = client;
    this.#onTrouble = onTrouble;
    this.#pauses = pauses;
    this.#logs = new LogSender(client);
  }

  get trouble(): string | undefined {
    return this.#trouble;
  }

  async take(request: LeaseRequest, signal: AbortSignal): Promise<Grant | undefined> {
    const waitMs = request.waitSeconds * 1000;
    const ask = async (json: LeaseRequest) =>
      checkGrant(await this.#client.json("takeLease", { json, waitMs, signal }));
    const { hold, ...plain } = request;
    if (hold === undefined || !this.#knowsHold)
      return await this.#untilTaken(() => ask(plain), signal);
    return await this.#untilTaken(async () => {
      try {
        return await ask(request);
      } catch (error) {
        if (!(error instanceof Refused) || error.slug !== "invalid") throw error;
        const grant = await ask(plain);
        this.#knowsHold = false;
        return grant;
      }
    }, signal);
  }

  async renew(lease: string, request: RenewRequest, signal: AbortSignal): Promise<RenewReply> {
    const waitMs = (request.waitSeconds ?? 0) * 1000;
    const question = { path: { lease }, json: request, waitMs, signal };
    const ask = async () => {
      const reply = await this.#client.json("renewLease", question).catch((error: unknown) => {
        // A lease that the service does not know is as good as lost.
        if (error instanceof Refused && error.slug === "not-found") throw new Fenced(error.message);
        throw error;
      });
      return reply ?? { secondsLeft: 0 };
    };
    return await this.#untilTaken(ask, signal);
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
    return reply?.job ?? "settled";
  }

  forget(lease: string): void {
    this.#logs.forget(lease);
  }

  async #untilTaken<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    let bugs = 0;
    const mayPass = (error: unknown) => {
      if (error instanceof NoAnswer) {
        this.#tell(error.message);
        return 0;
      }
      if (!(error instanceof Refused)) return undefined;
      if (error.slug === "fenced") throw new Fenced(error.message);
      if (error.slug === "bug") bugs += 1;
      if (bugs > BUGS_MAX || !maySoonBeTaken(error))
        throw new NotTaken(error.message, { cause: error });
      this.#tell(error.message);
      return Math.min((error.retryAfterSeconds ?? 0) * 1000, RETRY_AFTER_MS_MAX);
    };
    const done = await retry(work, mayPass, this.#pauses, signal);
    this.#tell(undefined);
    return done;
  }

  #tell(trouble: string | undefined): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#onTrouble(trouble);
  }
}

/**
 * Whether asking again makes sense. A token may be put right at the service without this host's doing: what was accepted is
 * delivered then. What is not in the protocol's words comes from something that stands before the service for a while.
 */
function maySoonBeTaken(error: Refused): boolean {
  const isToken = error.status === 401 || error.status === 403;
  // Somebody upgrades hosts and service one after the other.
  const isUpgrade = error.slug === "other-version";
  return error.isPassing || error.isForeign || isToken || isUpgrade || error.slug === "bug";
}
