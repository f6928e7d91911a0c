import { randomBytes } from "node:crypto";
import type { LeaseRequest } from "#protocol/lease.ts";
import type { SubmitRequest } from "#protocol/submit.ts";
import type { VerdictReport } from "#protocol/verdict.ts";

/** What simulated hosts and submitters say: as long as what real ones say of a small job. */

const ROOM = { slots: 4, cpus: 8, memoryMiB: 16_384, diskMiB: 200_000 };

const IMAGES = ["micro", "debian-12", "debian-13", "alpine-3", "fedora-43"];

/** Jobs that need this stay queued: no host has it. */
const NOBODYS_LABEL = "arch=riscv64";

const digestOf = (at: number) => at.toString(16).padStart(2, "0").repeat(32);

/** A host that is free asks for work. */
export function leaseRequestText(host: string, waitSeconds: number): string {
  return JSON.stringify({
    requestId: Date.now().toString(16).padStart(12, "0") + randomBytes(10).toString("hex"),
    host,
    versions: { testbed: "0.1.0", node: "24.21.0", libvirt: "9.0.0", qemu: "7.2.0" },
    free: ROOM,
    capacity: ROOM,
    images: IMAGES.map((name, at) => ({ name, version: "1", digest: digestOf(at) })),
    labels: ["arch=x86_64", "lab=bench"],
    acceleration: "kvm",
    waitSeconds,
  } satisfies LeaseRequest);
}

/** A host tells of a job of one step that passed and printed nothing: what a report names must have been delivered. */
export const VERDICT_TEXT = JSON.stringify({
  verdict: { kind: "passed" },
  durationMs: 4210,
  phases: [
    { phase: "leased", durationMs: 10 },
    { phase: "preparing", durationMs: 40 },
    { phase: "booting", durationMs: 1800 },
    { phase: "connecting", durationMs: 300 },
    { phase: "running", durationMs: 2000 },
    { phase: "collecting", durationMs: 60 },
  ],
  image: { name: "micro", version: "1", digest: digestOf(0) },
  steps: [
    { name: "build", outcome: "passed", exitCode: 0, durationMs: 2000, logBytes: 0, cutBytes: 0 },
  ],
  artifacts: [],
  refused: [],
  logs: [],
  acceleration: "kvm",
} satisfies VerdictReport);

/** One of a row of jobs. They ask for different images and sizes, so that they are of ten classes for those who match them. */
export function submitText(at: number, fits: boolean): string {
  return JSON.stringify({
    name: `bench ${at}`,
    job: {
      image: IMAGES[at % IMAGES.length] ?? "micro",
      resources: { cpus: 1 + (at % 2), memory: "1GiB", disk: "8GiB" },
      timeout: "1h",
      steps: [
        { name: "build", run: "make -C /build" },
        { name: "check", run: "make -C /build check" },
      ],
    },
    labels: fits ? ["arch=x86_64"] : [NOBODYS_LABEL],
  } satisfies SubmitRequest);
}
