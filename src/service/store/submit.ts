import { createHash } from "node:crypto";
import { parseImageReference } from "#job/image-reference.ts";
import { jobSpecOf } from "#job/job-spec-of.ts";
import type { WireJob } from "#protocol/wire-job.ts";
import type { SubmitOrder, Submitted } from "#service/ports.ts";
import { note } from "./chronicle.ts";
import { followClock } from "./follow-clock.ts";
import { randomId } from "./ids.ts";
import { inputOf, touchInput } from "./inputs.ts";
import type { Ledger } from "./ledger.ts";

/** Queues a job: see `Store.submit`. */
export function submit(ledger: Ledger, order: SubmitOrder): Submitted {
  const digest = digestOf(order);
  const known = knownJob(ledger, order);
  if (known !== undefined) {
    return known.digest === digest ? { kind: "known", id: known.id } : { kind: "key-reused" };
  }
  const { owner, queuedMax } = order;
  const queued = ledger.queue.countOf(owner);
  if (queuedMax !== undefined && queued >= queuedMax) return { kind: "queue-full", queued };
  const inputs = order.request.job.inputs ?? [];
  const digests = [...new Set(inputs.map(({ sha256 }) => sha256))];
  const bytesOf = new Map(digests.map((sha256) => [sha256, inputOf(ledger, { owner, sha256 })]));
  const missing = digests.filter((sha256) => bytesOf.get(sha256) === undefined);
  if (missing.length > 0) return { kind: "inputs-missing", missing };
  for (const [number, { sha256, bytes }] of inputs.entries()) {
    const there = bytesOf.get(sha256) ?? 0;
    if (there !== bytes) return { kind: "input-differs", number, bytes: there };
  }

  const { job, id } = insertJob(ledger, order);
  const { sql } = ledger;
  sql.run("INSERT INTO specs (job, body) VALUES (?, ?)", job, JSON.stringify(order.request.job));
  for (const sha256 of digests) {
    sql.run("INSERT INTO job_inputs (job, sha256) VALUES (?, ?)", job, sha256);
    touchInput(ledger, { owner, sha256 });
  }
  if (order.idempotencyKey !== undefined) {
    sql.run(
      "INSERT INTO idempotency (owner, key, job, digest) VALUES (?, ?, ?, ?)",
      order.owner,
      order.idempotencyKey,
      job,
      digest,
    );
  }
  note(ledger, job, { kind: "submitted", says: `submitted by ${order.owner} and queued` });
  return { kind: "queued", id };
}

function knownJob({ sql }: Ledger, { owner, idempotencyKey }: SubmitOrder) {
  if (idempotencyKey === undefined) return undefined;
  return sql.one<{ id: string; digest: string }>(
    "SELECT id, digest FROM idempotency JOIN jobs USING (job) WHERE idempotency.owner = ? AND key = ?",
    owner,
    idempotencyKey,
  );
}

function insertJob(ledger: Ledger, { owner, request }: SubmitOrder): { job: number; id: string } {
  const { priority = 0, labels = [], queueLimitSeconds, name } = request;
  const spec = jobSpecOf(plain(request.job), []);
  const image = parseImageReference(spec.image);
  if (image === undefined) throw new Error(`no image reference: ${spec.image}`);
  const sorted = [...labels].sort();
  const { cpus, memoryMiB, diskMiB } = spec;
  const id = randomId(8);
  const requirement = { image, cpus, memoryMiB, diskMiB, labels: sorted, avoid: [] };
  const classId = ledger.queue.classOf(requirement);
  followClock(ledger);
  const submittedAt = ledger.wallMs;
  const job = ledger.sql.insert(
    `INSERT INTO jobs (id, owner, name, image, image_name, priority, labels, class, attempts_max, timeout_seconds,
       queue_seconds, submitted_at, state)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued')`,
    id,
    owner,
    name ?? null,
    spec.image,
    image.name,
    priority,
    JSON.stringify(sorted),
    classId,
    spec.attempts,
    spec.timeoutSeconds,
    queueLimitSeconds ?? null,
    submittedAt,
  );
  const limitAt =
    queueLimitSeconds === undefined ? undefined : submittedAt + queueLimitSeconds * 1000;
  ledger.queue.add({ job, owner, class: classId, priority, submittedAt, limitAt });
  return { job, id };
}

function plain({ inputs: _, ...job }: WireJob): Omit<WireJob, "inputs"> {
  return job;
}

/** Of what was asked, whatever the order of the keys: clients may build the same request anew. */
function digestOf({ request, idempotencyKey }: SubmitOrder): string {
  if (idempotencyKey === undefined) return "";
  return createHash("sha256").update(JSON.stringify(request, sortKeys)).digest("hex");
}

function sortKeys(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
