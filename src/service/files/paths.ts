import { join } from "node:path";
import type { ContentKey, LogKey } from "#service/file-ports.ts";

/** The folder of an attempt's logs. Jobs are spread over 256 folders, so that none has too many entries. */
export function logFolder(root: string, jobId: string, attempt: number): string {
  return join(root, "logs", jobId.slice(0, 2), jobId, String(attempt));
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
    : join(root, "artifacts", key.jobId.slice(0, 2), key.jobId, String(key.attempt), sha256);
}
