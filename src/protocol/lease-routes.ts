import { bytes, sha256 } from "#job/values.ts";
import { CHUNK_BYTES_MAX, have, offset, range, rangeAnswers } from "./bytes-route.ts";
import { closed } from "./closed.ts";
import { grantSchema, leaseRequestSchema, renewReplySchema, renewRequestSchema } from "./lease.ts";
import type { Route } from "./route.ts";
import { leaseId, logName } from "./values.ts";
import { verdictReplySchema, verdictReportSchema } from "./verdict.ts";

/** What hosts ask. A host sees only leases of its own; one that was lost is refused as fenced, with the reason. */

const LEASE_BYTES_MAX = 256 * 1024;
const LOG_BYTES_MAX = 1024 * 1024;
const RENEW_BYTES_MAX = 4 * 1024;
/** 10,000 artifacts with paths of 250 characters; read and checked in 30 ms. */
const VERDICT_BYTES_MAX = 4 * 2 ** 20;

const ofLease = closed({ lease: leaseId }, "lease");

const ofContent = closed({ lease: leaseId, sha256 }, "lease", "sha256");

export const LEASE_ROUTES = {
  takeLease: {
    method: "POST",
    path: "/v1/leases",
    roles: ["host"],
    summary: "Gives a host the job that fits it best, waiting for one if need be.",
    body: { type: "application/json", schema: leaseRequestSchema, bytesMax: LEASE_BYTES_MAX },
    answers: {
      200: { says: "A lease.", type: "application/json", schema: grantSchema },
      204: { says: "No job fits now." },
    },
    problems: ["too-large", "wrong-media"],
  },
  renewLease: {
    method: "POST",
    path: "/v1/leases/{lease}/renew",
    roles: ["host"],
    summary: "Says that the host goes on, and brings back whether the job is cancelled.",
    parameters: { path: ofLease },
    body: { type: "application/json", schema: renewRequestSchema, bytesMax: RENEW_BYTES_MAX },
    answers: {
      200: { says: "The lease goes on.", type: "application/json", schema: renewReplySchema },
    },
    problems: ["not-found", "fenced", "too-large", "wrong-media"],
  },
  writeLog: {
    method: "PUT",
    path: "/v1/leases/{lease}/logs/{log}",
    roles: ["host"],
    summary: "Appends to a log of the attempt; a body of no bytes asks how much there is.",
    parameters: {
      path: closed({ lease: leaseId, log: logName }, "lease", "log"),
      query: closed(
        { offset: { ...bytes, description: "Must be as much as there is." } },
        "offset",
      ),
    },
    body: { type: "application/octet-stream", bytesMax: LOG_BYTES_MAX },
    answers: have,
    problems: [
      "not-found",
      "fenced",
      "length-required",
      "too-large",
      "wrong-media",
      "wrong-offset",
      "full",
      "over-quota",
    ],
  },
  haveArtifact: {
    method: "HEAD",
    path: "/v1/leases/{lease}/artifacts/{sha256}",
    roles: ["host"],
    summary: "Tells how much of an artifact of the attempt there is.",
    parameters: { path: ofContent },
    answers: have,
    problems: ["not-found", "fenced"],
  },
  writeArtifact: {
    method: "PUT",
    path: "/v1/leases/{lease}/artifacts/{sha256}",
    roles: ["host"],
    summary:
      "Uploads an artifact of the attempt from an offset on; complete when it has its digest.",
    parameters: { path: ofContent, query: offset },
    body: { type: "application/octet-stream", bytesMax: CHUNK_BYTES_MAX },
    answers: have,
    problems: [
      "not-found",
      "fenced",
      "length-required",
      "too-large",
      "wrong-media",
      "wrong-offset",
      "wrong-digest",
      "full",
      "over-quota",
    ],
  },
  readInput: {
    method: "GET",
    path: "/v1/leases/{lease}/inputs/{sha256}",
    roles: ["host"],
    summary: "Gives an input of the leased job, or a range of it.",
    parameters: { path: ofContent, headers: range },
    answers: rangeAnswers,
    problems: ["not-found", "fenced", "wrong-range"],
  },
  reportVerdict: {
    method: "POST",
    path: "/v1/leases/{lease}/verdict",
    roles: ["host"],
    summary:
      "Reports how the attempt ended and gives the lease back; the first report counts, twice is safe.",
    parameters: { path: ofLease },
    body: { type: "application/json", schema: verdictReportSchema, bytesMax: VERDICT_BYTES_MAX },
    answers: {
      200: { says: "It is on disk.", type: "application/json", schema: verdictReplySchema },
    },
    problems: ["not-found", "fenced", "too-large", "wrong-media", "not-delivered"],
  },
} as const satisfies Record<string, Route>;
