import { Bell } from "#lib/bell.ts";
import type { JobGlance } from "#service/ports.ts";
import type { HandlersOf, ServerEvent } from "./ask.ts";
import { followLog } from "./follow-log.ts";
import { glanceFor } from "./job-handlers.ts";
import { isOver, placeOf } from "./log-place.ts";
import { ALIVE_MS, LOOK_AGAIN_MS } from "./pace.ts";
import { Refusal } from "./refusal.ts";
import type { Rooms } from "./rooms.ts";

/** What followers and readers of a job ask: history, logs, artifacts. */
export function historyHandlers(
  rooms: Rooms,
): HandlersOf<"listEvents" | "readLog" | "listArtifacts" | "readArtifact"> {
  const { store, logs, contents, gate } = rooms;
  return {
    async listEvents({ token, path, query, headers, wantsEvents, signal }) {
      const job = await glanceFor(rooms, token, path.job);
      const after = Number(headers["last-event-id"] ?? query.after ?? 0);
      const events = (await store.events(path.job, after)) ?? [];
      if (!wantsEvents) return { status: 200, json: { events } };
      // Browsers ask again when a stream ends, until they hear 204 (HTML, section 9.2.3).
      if (job.state === "settled" && events.length === 0) return { status: 204 };
      const gone = signal();
      gate.wait(token, gone);
      return { status: 200, events: followEvents(rooms, path.job, after, gone) };
    },

    async readLog({ token, path, query, headers, wantsEvents, signal }) {
      const job = await glanceFor(rooms, token, path.job);
      demandFiles(job);
      const keyOf = (attempt: number) => ({ jobId: job.id, attempt, log: path.log });
      if (wantsEvents) {
        const lastEventId = headers["last-event-id"];
        const have = (attempt: number) => logs.have(keyOf(attempt));
        const place = await placeOf(job, { asked: query.attempt, lastEventId }, have);
        const key = keyOf(place.attempt);
        if (isOver(job, key.attempt) && place.after >= (await logs.have(key)))
          return { status: 204 };
        const gone = signal();
        gate.wait(token, gone);
        return { status: 200, events: followLog(rooms, { key, job, place }, gone) };
      }
      const key = keyOf(query.attempt ?? Math.max(job.attempts, 1));
      demandAttempt(job, key.attempt);
      return {
        status: 200,
        sizeBytes: await logs.have(key),
        open: (span) => logs.read(key, span),
      };
    },

    async listArtifacts({ token, path, query }) {
      const job = await glanceFor(rooms, token, path.job);
      const attempt = query.attempt ?? job.attempts;
      demandAttempt(job, attempt);
      const artifacts = (await store.artifacts(job.id, attempt)) ?? [];
      return { status: 200, json: { attempt, artifacts } };
    },

    async readArtifact({ token, path }) {
      const job = await glanceFor(rooms, token, path.job);
      demandFiles(job);
      for (let attempt = job.attempts; attempt >= 1; attempt -= 1) {
        const key = { kind: "artifact", jobId: job.id, attempt, sha256: path.sha256 } as const;
        const { haveBytes, isComplete } = await contents.have(key);
        if (isComplete)
          return { status: 200, sizeBytes: haveBytes, open: (span) => contents.read(key, span) };
      }
      throw new Refusal("not-found", { detail: "the job has no such artifact" });
    },
  };
}

/** What left is not as if it had never been. */
function demandFiles({ id, filesRemovedAt }: JobGlance): void {
  if (filesRemovedAt === undefined) return;
  const detail = `the logs and artifacts of job ${id} were removed at ${filesRemovedAt}`;
  throw new Refusal("gone", { detail });
}

function demandAttempt({ id, attempts }: JobGlance, attempt: number): void {
  if (attempt < 1 || attempt > attempts)
    throw new Refusal("not-found", { detail: `job ${id} has ${attempts} attempts so far` });
}

async function* followEvents(
  { store, changes }: Rooms,
  jobId: string,
  begin: number,
  gone: AbortSignal,
): AsyncGenerator<ServerEvent> {
  const bell = new Bell();
  using _ = changes.follow(jobId, bell.ring);
  let after = begin;
  let saidMs = performance.now();
  while (!gone.aborted) {
    const events = await store.events(jobId, after);
    // A job that left after its time has no history any more.
    if (events === undefined) return;
    for (const event of events) {
      yield { id: event.number, data: event };
      after = event.number;
      saidMs = performance.now();
      if (event.kind === "settled" || event.kind === "removed") return;
    }
    if (events.length > 0) continue;
    if (performance.now() - saidMs > ALIVE_MS) {
      yield "alive";
      saidMs = performance.now();
    }
    await bell.heard(LOOK_AGAIN_MS, gone);
  }
}
