import { dirname, join } from "node:path";
import type { ContentKey, LogKey, Shelf } from "#service/file-ports.ts";

/** Jobs and contents are spread over 256 shelves by how their names begin, so that no folder has too many entries. */
export function shelfPath(root: string, shelf: Shelf): string {
  return shelf.kind === "inputs"
    ? join(root, shelf.kind, shelf.owner, shelf.prefix)
    : join(root, shelf.kind, shelf.prefix);
}

/** The folder of a job's logs, or of its artifacts; below it each attempt has one. */
export function jobFolder(root: string, kind: "logs" | "artifacts", jobId: string): string {
  return join(root, kind, jobId.slice(0, 2), jobId);
}

/** The folder of an attempt's logs. */
export function logFolder(root: string, jobId: string, attempt: number): string {
  return join(jobFolder(root, "logs", jobId), String(attempt));
}

/** The folder of an attempt's artifacts. */
export function artifactFolder(root: string, jobId: string, attempt: number): string {
  return join(jobFolder(root, "artifacts", jobId), String(attempt));
}

/** Where a log lies. */
export function logPath(root: string, { jobId, attempt, log }: LogKey): string {
  return join(logFolder(root, jobId, attempt), `${log}.log`);
}

/** Where a complete content lies; what is not complete yet lies beside it, as `.part`. */
export function contentPath(root: string, key: ContentKey): string {
  const { sha256 } = key;
  return key.kind === "input"
    ? join(root, "inputs", key.owner, sha256.slice(0, 2), sha256)
    : join(artifactFolder(root, key.jobId, key.attempt), sha256);
}

/** The shelf that a log or an artifact of a job counts for. */
export function shelfOfJob(root: string, kind: "logs" | "artifacts", jobId: string): string {
  return dirname(jobFolder(root, kind, jobId));
}

/** The shelf that a content counts for. */
export function shelfOf(root: string, key: ContentKey): string {
  return key.kind === "input"
    ? dirname(contentPath(root, key))
    : shelfOfJob(root, "artifacts", key.jobId);
}
