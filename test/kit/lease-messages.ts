import type { LeaseRequest, RenewRequest } from "#protocol/lease.ts";
import type { SubmitRequest } from "#protocol/submit.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import type { SubmitOrder } from "#service/ports.ts";

/** Messages that are well, to be changed where a test needs it. */

export const DIGEST = "d1".repeat(32);
export const OTHER_DIGEST = "d2".repeat(32);

const ROOM = { slots: 4, cpus: 8, memoryMiB: 8192, diskMiB: 100_000 };

/** A submit of ada's: a job for image micro that asks for nothing more. */
export function order(
  changes: Partial<SubmitRequest> = {},
  more: Partial<SubmitOrder> = {},
): SubmitOrder {
  const job = { image: "micro", steps: [{ name: "build", run: "make" }] };
  return { owner: "ada", request: { job, ...changes }, ...more };
}

/** A job for image micro, as a part of a submit. */
export function job(changes: Partial<SubmitRequest["job"]> = {}): SubmitRequest["job"] {
  return { image: "micro", steps: [{ name: "build", run: "make" }], ...changes };
}

let requests = 0;

/** A host with image micro that asks for work, each time anew. */
export function asking(host: string, changes: Partial<LeaseRequest> = {}): LeaseRequest {
  requests += 1;
  return {
    requestId: requests.toString(16).padStart(32, "0"),
    host,
    versions: { testbed: "0.1.0", node: "24.21.0" },
    free: ROOM,
    capacity: ROOM,
    images: [{ name: "micro", version: "1", digest: DIGEST }],
    labels: ["arch=x86_64"],
    acceleration: "kvm",
    waitSeconds: 0,
    ...changes,
  };
}

/** A renewal in a phase. */
export function renewal(phase: RenewRequest["phase"]): RenewRequest {
  return { phase, spooled: { logBytes: 0, artifactBytes: 0 } };
}

/** A verdict of an attempt that did nothing worth telling. */
export function report(
  verdict: VerdictReport["verdict"],
  changes: Partial<VerdictReport> = {},
): VerdictReport {
  return {
    verdict,
    durationMs: 5,
    phases: [{ phase: "leased", durationMs: 5 }],
    steps: [],
    artifacts: [],
    refused: [],
    logs: [],
    ...changes,
  };
}

/** A verdict of an attempt that broke. */
export function broken(
  retry: "never" | "anywhere" | "elsewhere",
  code = "machine-crashed",
): VerdictReport {
  const fault = { blame: "host", retry, message: "it broke", evidence: {} } as const;
  return report({ kind: "broken", fault: { code, ...fault } });
}
