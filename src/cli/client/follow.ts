import type { JobEvent } from "#protocol/job-view.ts";
import type { ServiceClient } from "#protocol/service-client.ts";
import { followStream } from "./event-stream.ts";
import type { Patience } from "./patience.ts";

/** Who follows a job: with which client, for how long, and how patiently. */
export type Follower = {
  readonly client: ServiceClient;
  readonly patience: Patience;
  readonly signal: AbortSignal;
};

/** A job's history, from its beginning until it is settled. */
export async function* followEvents(
  { client, patience, signal }: Follower,
  job: string,
): AsyncGenerator<JobEvent> {
  const open = (after: number) =>
    client.events("listEvents", {
      path: { job },
      headers: { "last-event-id": String(after) },
      signal,
    });
  for await (const { data } of followStream(open, 0, patience)) yield data as JobEvent;
}

/** Which log. */
export type LogOfAttempt = {
  readonly job: string;
  readonly attempt: number;
  readonly log: string;
};

/** A log's bytes from an offset on, until its attempt is over. */
export async function* followLog(
  { client, patience, signal }: Follower,
  { job, attempt, log }: LogOfAttempt,
  after = 0,
): AsyncGenerator<Buffer> {
  const open = (offset: number) =>
    client.events("readLog", {
      path: { job, log },
      query: { attempt },
      headers: { "last-event-id": String(offset) },
      signal,
    });
  for await (const { data } of followStream(open, after, patience))
    yield Buffer.from(String((data as { base64?: unknown }).base64), "base64");
}
