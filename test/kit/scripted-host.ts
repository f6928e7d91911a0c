import { createHash, randomBytes } from "node:crypto";
import type { HttpTarget } from "#lib/http-client.ts";
import type { Grant, LeaseRequest, RenewRequest } from "#protocol/lease.ts";
import { ServiceClient } from "#protocol/service-client.ts";
import type { VerdictReport, WireArtifact } from "#protocol/verdict.ts";
import { asking, renewal, report } from "./lease-messages.ts";

const signal = new AbortController().signal;

/** A host without machines that does on the wire what the test says. */
export class ScriptedHost implements Disposable {
  readonly name: string;
  readonly #client: ServiceClient;
  #grant: Grant | undefined;
  readonly #written = new Map<string, number>();

  constructor(name: string, target: HttpTarget, token: string) {
    this.name = name;
    this.#client = new ServiceClient(target, token);
  }

  /** The attempt that it has a lease of. */
  get grant(): Grant {
    if (this.#grant === undefined) throw new Error(`${this.name} has no lease`);
    return this.#grant;
  }

  /** Asks for work once, for at most so many seconds; fails when there is none. */
  async take(changes: Partial<LeaseRequest> = {}): Promise<Grant> {
    const waitSeconds = 20;
    const requestId = randomBytes(16).toString("hex");
    const json = asking(this.name, { requestId, waitSeconds, ...changes });
    const grant = await this.#client.json("takeLease", {
      json,
      waitMs: waitSeconds * 1000,
      signal,
    });
    if (grant === undefined) throw new Error(`nothing for ${this.name}`);
    this.#grant = grant;
    this.#written.clear();
    return grant;
  }

  /** Says that it exists and has an image, and takes nothing. */
  async appear(changes: Partial<LeaseRequest> = {}): Promise<void> {
    const free = { slots: 0, cpus: 0, memoryMiB: 0, diskMiB: 0 };
    await this.#client.json("takeLease", { json: asking(this.name, { free, ...changes }), signal });
  }

  async enter(phase: RenewRequest["phase"], more: Partial<RenewRequest> = {}) {
    const { lease } = this.grant;
    const json = { ...renewal(phase), ...more };
    return await this.#client.json("renewLease", { path: { lease }, json, signal });
  }

  /** Appends to a log. */
  async write(text: string | Uint8Array, log = "output"): Promise<void> {
    const { lease } = this.grant;
    const offset = this.#written.get(log) ?? 0;
    const bytes = Buffer.from(text as string);
    await this.#client.have("writeLog", { path: { lease, log }, query: { offset }, bytes, signal });
    this.#written.set(log, offset + bytes.length);
  }

  /** Delivers an artifact; the verdict must name it. */
  async deliver(path: string, content: string | Uint8Array): Promise<WireArtifact> {
    const bytes = Buffer.from(content as string);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const { lease } = this.grant;
    const query = { offset: 0, total: bytes.length };
    await this.#client.have("writeArtifact", { path: { lease, sha256 }, query, bytes, signal });
    return { path, bytes: bytes.length, sha256 };
  }

  /** What the service keeps of an input. */
  async input(sha256: string): Promise<Buffer> {
    const { lease } = this.grant;
    const answer = await this.#client.bytes("readInput", { path: { lease, sha256 }, signal });
    const pieces: Buffer[] = [];
    for await (const piece of answer.body as AsyncIterable<Buffer>) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  async settle(
    verdict: VerdictReport["verdict"],
    changes: Partial<VerdictReport> = {},
  ): Promise<void> {
    const { lease } = this.grant;
    const json = report(verdict, changes);
    await this.#client.json("reportVerdict", { path: { lease }, json, signal });
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }
}
