import { imageName, line, sha256, verdictKind } from "#job/values.ts";
import { CHUNK_BYTES_MAX, have, offset, range, rangeAnswers } from "./bytes-route.ts";
import { closed } from "./closed.ts";
import {
  artifactListSchema,
  eventListSchema,
  eventSchema,
  jobDetailSchema,
  jobListSchema,
  jobState,
  logPieceSchema,
} from "./job-view.ts";
import { WAIT_SECONDS_MAX } from "./lease.ts";
import type { Route } from "./route.ts";
import { submitReplySchema, submitRequestSchema } from "./submit.ts";
import { attemptNumber, cursor, jobId, logName, ownerName } from "./values.ts";

/** What submitters and viewers ask. A submitter's own jobs only; anybody else's are not found. */

/** A job file has 1 MiB at most, and JSON escapes what YAML need not. */
const SUBMIT_BYTES_MAX = 3 * 2 ** 20;
const SMALL_BYTES_MAX = 16 * 1024;

const ofJob = closed({ job: jobId }, "job");

const lastEventId = {
  type: "string",
  pattern: "^[0-9]{1,15}$",
  patternErrorMessage: "must be the id of an event",
  description: "Go on after this event, as browsers do by themselves.",
} as const;

const lastPlace = {
  ...lastEventId,
  pattern: "^([0-9]{1,2}-)?[0-9]{1,15}$",
  description:
    "Go on after this event, as browsers do by themselves: a byte offset, behind the attempt and a - when no attempt is named.",
} as const;

const seconds = { type: "integer", minimum: 0, maximum: WAIT_SECONDS_MAX } as const;
const readers = ["admin", "submitter", "viewer"] as const;
const detail = {
  says: "The job.",
  type: "application/json",
  schema: jobDetailSchema,
} as const;

const nothingMore = {
  says: "Nothing more will come, so that browsers stop asking; only for server-sent events.",
} as const;

export const JOB_ROUTES = {
  submitJob: {
    method: "POST",
    path: "/v1/jobs",
    roles: ["admin", "submitter"],
    summary: "Queues a job, once for each idempotency key of its owner.",
    parameters: {
      headers: closed({
        "idempotency-key": {
          type: "string",
          pattern: "^[!-~]{1,128}$",
          patternErrorMessage: "must be 1 to 128 printable ASCII characters without spaces",
          description:
            "A client that retries a submit sends the same key and gets the same job. With another request it is refused.",
        },
      }),
    },
    body: { type: "application/json", schema: submitRequestSchema, bytesMax: SUBMIT_BYTES_MAX },
    answers: {
      200: {
        says: "The job that the key led to before.",
        type: "application/json",
        schema: submitReplySchema,
      },
      201: {
        says: "The job is queued, and on disk.",
        type: "application/json",
        schema: submitReplySchema,
      },
    },
    problems: ["too-large", "wrong-media", "inputs-missing", "key-reused", "queue-full", "full"],
  },
  listJobs: {
    method: "GET",
    path: "/v1/jobs",
    roles: readers,
    summary: "Lists jobs, newest first.",
    parameters: {
      query: closed({
        state: { enum: jobState.enum },
        verdict: verdictKind,
        owner: ownerName,
        name: { ...line, maxLength: 100, description: "The job's whole name." },
        image: { ...imageName, description: "The image's name, whatever the version." },
        limit: { type: "integer", minimum: 1, maximum: 500, default: 50 },
        cursor,
      }),
    },
    answers: { 200: { says: "A page.", type: "application/json", schema: jobListSchema } },
    problems: [],
  },
  showJob: {
    method: "GET",
    path: "/v1/jobs/{job}",
    roles: readers,
    summary: "Tells all of a job; of one that waits also why.",
    parameters: { path: ofJob },
    answers: { 200: detail },
    problems: ["not-found"],
  },
  cancelJob: {
    method: "POST",
    path: "/v1/jobs/{job}/cancel",
    roles: ["admin", "submitter"],
    summary: "Cancels a job: at once while it is queued, else through its host; twice is safe.",
    parameters: { path: ofJob },
    body: {
      type: "application/json",
      schema: closed({ why: { ...line, description: "For people; default: who asked." } }),
      bytesMax: SMALL_BYTES_MAX,
    },
    answers: { 200: detail },
    problems: ["not-found", "too-large", "wrong-media"],
  },
  waitForJob: {
    method: "GET",
    path: "/v1/jobs/{job}/wait",
    roles: readers,
    summary:
      "Answers when the job is settled, or after the time is up, with the job as it is then.",
    parameters: {
      path: ofJob,
      query: closed({ seconds }),
    },
    answers: { 200: detail },
    problems: ["not-found"],
  },
  listEvents: {
    method: "GET",
    path: "/v1/jobs/{job}/events",
    roles: readers,
    summary: "Tells a job's history; as server-sent events it goes on until the job is settled.",
    parameters: {
      path: ofJob,
      query: closed({
        after: { type: "integer", minimum: 0, maximum: 2 ** 31, default: 0 },
      }),
      headers: closed({ "last-event-id": lastEventId }),
    },
    answers: {
      200: {
        says: "The history.",
        type: "application/json",
        schema: eventListSchema,
        events: eventSchema,
      },
      204: nothingMore,
    },
    problems: ["not-found"],
  },
  readLog: {
    method: "GET",
    path: "/v1/jobs/{job}/logs/{log}",
    roles: readers,
    summary:
      "Gives a log of an attempt by byte range; as server-sent events it follows a running job and goes on after Last-Event-ID; when no attempt is named, over all attempts.",
    parameters: {
      path: closed({ job: jobId, log: logName }, "job", "log"),
      query: closed({ attempt: { ...attemptNumber, description: "Default: the last one." } }),
      headers: {
        ...range,
        properties: { ...range.properties, "last-event-id": lastPlace },
      },
    },
    answers: {
      ...rangeAnswers,
      200: { ...rangeAnswers[200], events: logPieceSchema },
      204: nothingMore,
    },
    problems: ["not-found", "gone", "wrong-range"],
  },
  listArtifacts: {
    method: "GET",
    path: "/v1/jobs/{job}/artifacts",
    roles: readers,
    summary: "Lists what an attempt brought home.",
    parameters: {
      path: ofJob,
      query: closed({ attempt: { ...attemptNumber, description: "Default: the last one." } }),
    },
    answers: { 200: { says: "The list.", type: "application/json", schema: artifactListSchema } },
    problems: ["not-found"],
  },
  readArtifact: {
    method: "GET",
    path: "/v1/jobs/{job}/artifacts/{sha256}",
    roles: readers,
    summary: "Gives an artifact of the job, or a range of it.",
    parameters: {
      path: closed({ job: jobId, sha256 }, "job", "sha256"),
      headers: range,
    },
    answers: rangeAnswers,
    problems: ["not-found", "gone", "wrong-range"],
  },
} as const satisfies Record<string, Route>;

const ofInput = closed({ sha256 }, "sha256");

export const INPUT_ROUTES = {
  haveInput: {
    method: "HEAD",
    path: "/v1/inputs/{sha256}",
    roles: ["admin", "submitter"],
    summary: "Tells how much of an input this submitter has uploaded.",
    parameters: { path: ofInput },
    answers: have,
    problems: ["not-found"],
  },
  writeInput: {
    method: "PUT",
    path: "/v1/inputs/{sha256}",
    roles: ["admin", "submitter"],
    summary: "Uploads an input from an offset on; complete when it has its digest.",
    parameters: { path: ofInput, query: offset },
    body: { type: "application/octet-stream", bytesMax: CHUNK_BYTES_MAX },
    answers: have,
    problems: [
      "length-required",
      "too-large",
      "wrong-media",
      "wrong-offset",
      "wrong-digest",
      "full",
      "over-quota",
    ],
  },
} as const satisfies Record<string, Route>;
