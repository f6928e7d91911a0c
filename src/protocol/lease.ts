import type { Static } from "typebox";
import { acceleration, bytes, imageName, imageVersion, line, phase, sha256 } from "#job/values.ts";
import { imageSchema } from "#job/verdict-schema.ts";
import { attemptNumber, hostName, jobId, labels, leaseId } from "./values.ts";
import { wireJobSchema } from "./wire-job.ts";

/** The longest long poll, of hosts that want a lease and of clients that wait for a job. */
export const WAIT_SECONDS_MAX = 60;

const version = {
  type: "string",
  pattern: "^[A-Za-z0-9][A-Za-z0-9.+~_-]{0,63}$",
  patternErrorMessage: "must be a version, such as 24.21.0",
} as const;

export const roomSchema = {
  type: "object",
  additionalProperties: false,
  required: ["slots", "cpus", "memoryMiB", "diskMiB"],
  properties: {
    slots: { type: "integer", minimum: 0, maximum: 1000, description: "Machines at once." },
    cpus: { type: "integer", minimum: 0, maximum: 4096 },
    memoryMiB: { type: "integer", minimum: 0, maximum: 2 ** 30 },
    diskMiB: { type: "integer", minimum: 0, maximum: 2 ** 40 },
  },
} as const;

export const offeredImageSchema = {
  type: "object",
  additionalProperties: false,
  required: ["name", "version"],
  properties: {
    name: imageName,
    version: imageVersion,
    digest: {
      ...sha256,
      description: "Missing while the host could make the image but does not have it yet.",
    },
    memoryMiBMin: {
      type: "integer",
      minimum: 1,
      maximum: 2 ** 20,
      description: "Memory for a job that does not say how much it needs; default 64.",
    },
  },
} as const;

export const versionsSchema = {
  type: "object",
  description: "Versions of what runs there.",
  additionalProperties: false,
  required: ["testbed", "node"],
  properties: { testbed: version, node: version, libvirt: version, qemu: version, kernel: version },
} as const;

export const leaseRequestSchema = {
  type: "object",
  description:
    "A host asks for one job. The answer may take waitSeconds; 204 says that there is none. One host has one request open at a time.",
  additionalProperties: false,
  required: [
    "requestId",
    "host",
    "versions",
    "free",
    "capacity",
    "images",
    "labels",
    "acceleration",
    "waitSeconds",
  ],
  properties: {
    requestId: {
      ...leaseId,
      description:
        "Made by the host, 32 hexadecimal digits, and kept until it has got a lease with it; then it makes another. Asking again, after 204 or no answer at all, with the same one never gives a second lease, so that lost answers and late repeats cost no attempt.",
    },
    host: hostName,
    versions: versionsSchema,
    free: {
      ...roomSchema,
      description: "What one more machine may take now, reserves and load counted in.",
    },
    capacity: { ...roomSchema, description: "The same when nothing runs." },
    images: {
      type: "array",
      maxItems: 500,
      items: offeredImageSchema,
      description: "What it has or can make; of one name the newest version first.",
    },
    labels,
    acceleration,
    hold: {
      ...line,
      description: "Why it takes nothing now, in its own words; missing while it would.",
    },
    waitSeconds: { type: "integer", minimum: 0, maximum: WAIT_SECONDS_MAX },
  },
} as const;

export const grantSchema = {
  type: "object",
  description:
    "The right and the duty to run one attempt. All times are durations from the answer's arrival.",
  additionalProperties: false,
  required: ["lease", "jobId", "attempt", "job", "lengthSeconds", "timeoutSeconds"],
  properties: {
    lease: leaseId,
    jobId,
    attempt: attemptNumber,
    job: wireJobSchema,
    imageDigest: {
      ...sha256,
      description:
        "The digest that the job's image is pinned to; missing until a host has said it.",
    },
    lengthSeconds: {
      type: "integer",
      minimum: 1,
      maximum: 86_400,
      description: "The lease ends so long after its last renewal; renew after a third of it.",
    },
    timeoutSeconds: {
      type: "integer",
      minimum: 1,
      maximum: 24 * 86_400,
      description: "Limit of the whole attempt, boot included.",
    },
  },
} as const;

export const spooledSchema = {
  type: "object",
  description: "Bytes on the host that the service does not have yet.",
  additionalProperties: false,
  required: ["logBytes", "artifactBytes"],
  properties: { logBytes: bytes, artifactBytes: bytes },
} as const;

export const renewRequestSchema = {
  type: "object",
  description:
    "Sent at each phase and at least after each third of the lease's length. Twice is safe.",
  additionalProperties: false,
  required: ["phase", "spooled"],
  properties: {
    phase: {
      ...phase,
      description: "Where the attempt is; one that it left long ago changes nothing.",
    },
    spooled: spooledSchema,
    image: {
      ...imageSchema,
      description: "As soon as it is known; the first one pins the job's image.",
    },
    waitSeconds: {
      type: "integer",
      minimum: 0,
      maximum: WAIT_SECONDS_MAX,
      default: 0,
      description:
        "The answer may take so long, and comes as soon as somebody cancels the job: one held request instead of many that ask.",
    },
  },
} as const;

export const renewReplySchema = {
  type: "object",
  additionalProperties: false,
  required: ["secondsLeft"],
  properties: {
    secondsLeft: { type: "integer", minimum: 0, maximum: 86_400 },
    cancel: {
      ...line,
      description: "Somebody wants the job cancelled, and why: end the attempt and report.",
    },
  },
} as const;

/** How a host asks for work. */
export type LeaseRequest = Static<typeof leaseRequestSchema>;

/** What a host gets. */
export type Grant = Static<typeof grantSchema>;

/** How a host says that it goes on. */
export type RenewRequest = Static<typeof renewRequestSchema>;

/** What it hears then. */
export type RenewReply = Static<typeof renewReplySchema>;

/** What a host has room for. */
export type Room = Static<typeof roomSchema>;
