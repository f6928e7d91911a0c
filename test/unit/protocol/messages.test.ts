import { expect, test } from "vitest";
import { compileSchema } from "#lib/validate.ts";
import type { HostView } from "#protocol/host-view.ts";
import { hostSchema } from "#protocol/host-view.ts";
import {
  eventSchema,
  type JobDetail,
  type JobEvent,
  type JobSummary,
  jobDetailSchema,
  jobSummarySchema,
} from "#protocol/job-view.ts";
import {
  type Grant,
  grantSchema,
  type LeaseRequest,
  leaseRequestSchema,
  type RenewReply,
  type RenewRequest,
  renewReplySchema,
  renewRequestSchema,
} from "#protocol/lease.ts";
import { type SubmitRequest, submitRequestSchema } from "#protocol/submit.ts";
import { type TokenView, tokenSchema } from "#protocol/token.ts";
import { type VerdictReport, verdictReportSchema } from "#protocol/verdict.ts";
import { specOfWireJob, type WireJob, wireJobOf } from "#protocol/wire-job.ts";

const DIGEST = "ab".repeat(32);
const JOB_ID = "0123456789abcdef";
const LEASE = "fe".repeat(16);
const AT = "2030-01-02T03:04:05.678Z";

const job: WireJob = {
  image: "debian-12",
  resources: { cpus: 2, memory: "1GiB" },
  inputs: [{ sha256: DIGEST, bytes: 12, kind: "file", mode: 0o755, to: "/build/run" }],
  steps: [{ name: "build", run: "make" }],
};

const submit: SubmitRequest = { job, priority: -5, labels: ["arch=x86_64"], queueLimitSeconds: 60 };

const summary: JobSummary = {
  id: JOB_ID,
  owner: "ada",
  image: "debian-12",
  priority: 0,
  labels: [],
  state: "queued",
  attempts: 0,
  attemptsMax: 2,
  submittedAt: AT,
};

const detail: JobDetail = {
  ...summary,
  job,
  waiting: { reason: "no-image", says: "no host has image debian-12", position: 1 },
  attemptList: [{ number: 1, host: "lab-1", phase: "booting", state: "fenced", leasedAt: AT }],
};

const event: JobEvent = { number: 1, at: AT, kind: "submitted", says: "submitted by ada" };

const room = { slots: 2, cpus: 4, memoryMiB: 4096, diskMiB: 100_000 };

const lease: LeaseRequest = {
  requestId: LEASE,
  host: "lab-1",
  versions: { testbed: "0.1.0", node: "24.21.0" },
  free: room,
  capacity: room,
  images: [{ name: "debian-12", version: "20300101", digest: DIGEST }],
  labels: ["arch=x86_64"],
  acceleration: "kvm",
  waitSeconds: 60,
};

const grant: Grant = {
  lease: LEASE,
  jobId: JOB_ID,
  attempt: 1,
  job,
  imageDigest: DIGEST,
  lengthSeconds: 300,
  timeoutSeconds: 3600,
};

const renewal: RenewRequest = { phase: "running", spooled: { logBytes: 0, artifactBytes: 7 } };
const renewed: RenewReply = { secondsLeft: 300, cancel: "ada asked" };

const report: VerdictReport = {
  verdict: {
    kind: "broken",
    fault: {
      code: "machine-crashed",
      blame: "host",
      retry: "elsewhere",
      message: "QEMU died",
      evidence: { exitCode: 1, console: ["a", "b"] },
    },
  },
  durationMs: 5,
  phases: [{ phase: "leased", durationMs: 5 }],
  steps: [],
  artifacts: [{ path: "build/out/a.log", bytes: 1, sha256: DIGEST }],
  refused: [],
  logs: [{ log: "step-1", bytes: 3 }],
};

const host: HostView = {
  name: "lab-1",
  state: "ready",
  since: AT,
  seenAt: AT,
  versions: { testbed: "0.1.0", node: "24.21.0" },
  free: room,
  capacity: room,
  images: [],
  labels: [],
  acceleration: "tcg",
  doing: [{ jobId: JOB_ID, attempt: 1, phase: "running", since: AT }],
  faults: [],
};

const token: TokenView = { id: "0a1b2c3d", name: "ada", role: "submitter", createdAt: AT };

const MESSAGES: readonly [string, object, object][] = [
  ["a submit", submitRequestSchema, submit],
  ["a summary", jobSummarySchema, summary],
  ["a detail", jobDetailSchema, detail],
  ["an event", eventSchema, event],
  ["a request for a lease", leaseRequestSchema, lease],
  ["a grant", grantSchema, grant],
  ["a renewal", renewRequestSchema, renewal],
  ["its reply", renewReplySchema, renewed],
  ["a verdict", verdictReportSchema, report],
  ["a host", hostSchema, host],
  ["a token", tokenSchema, token],
];

test.each(MESSAGES)("%s fits its schema", (_, schema, message) => {
  expect(compileSchema(schema)(message)).toEqual([]);
});

test.each(MESSAGES)("%s with a key too many is refused", (_, schema, message) => {
  expect(compileSchema(schema)({ ...message, surprise: 1 })).toMatchObject([
    { path: ["surprise"], kind: "unknown-key" },
  ]);
});

test("an input that names a path of somebody's disk is refused", () => {
  const inputs = [{ from: "/etc/shadow", to: "/loot" }];
  const found = compileSchema(submitRequestSchema)({ job: { ...job, inputs } });
  expect(found).toContainEqual(
    expect.objectContaining({ path: ["job", "inputs", "0", "from"], kind: "unknown-key" }),
  );
});

test.each(["/etc/passwd", "../up", "a/../b", "a//b", "./a", "", "a\u0000b", "x".repeat(1025)])(
  "an artifact named '%.20s' is refused",
  (path) => {
    const artifacts = [{ path, bytes: 1, sha256: DIGEST }];
    expect(compileSchema(verdictReportSchema)({ ...report, artifacts })).not.toEqual([]);
  },
);

test("a job file goes over the wire without its paths and comes out as the same job", () => {
  const inputs = job.inputs ?? [];
  const file = { ...job, inputs: [{ from: "run", to: "/build/run" }] };
  const wire = wireJobOf(file, inputs);
  expect(wire).toEqual(job);
  expect(JSON.stringify(wire)).not.toContain("from");
  expect(specOfWireJob(wire, ({ sha256 }) => `/spool/${sha256}`)).toMatchObject({
    cpus: 2,
    memoryMiB: 1024,
    attempts: 1,
    timeoutSeconds: 3600,
    inputs: [{ from: `/spool/${DIGEST}`, to: "/build/run" }],
  });
});

test("a job without inputs has none on the wire", () => {
  const { inputs: _, ...plain } = job;
  expect(wireJobOf(plain, [])).toEqual(plain);
});
