import { Bell } from "#lib/bell.ts";
import type { TokenView } from "#protocol/token.ts";
import { checkWireJob } from "#protocol/wire-job.ts";
import type { JobGlance } from "#service/ports.ts";
import type { HandlersOf } from "./ask.ts";
import { LOOK_AGAIN_MS } from "./pace.ts";
import { invalid } from "./read-request.ts";
import { Refusal } from "./refusal.ts";
import type { Rooms } from "./rooms.ts";

/** The little of a job that most questions need, if whoever asks may see it; others are not found. */
export async function glanceFor(
  { store }: Rooms,
  token: TokenView,
  id: string,
): Promise<JobGlance> {
  return theirs(await store.glance(id), token, id);
}

function theirs<J extends { readonly owner: string }>(
  job: J | undefined,
  { role, name }: TokenView,
  id: string,
): J {
  const isTheirs = role !== "submitter" || job?.owner === name;
  if (job === undefined || !isTheirs) throw new Refusal("not-found", { detail: `no job ${id}` });
  return job;
}

/** Refuses new work while the disk has no room for it. */
export async function demandRoom({ space }: Rooms): Promise<void> {
  if (!(await space.hasRoom()))
    throw new Refusal("full", { detail: "the disk is nearly full; nothing new is taken" });
}

/** What submitters ask of jobs. */
export function jobHandlers(
  rooms: Rooms,
): HandlersOf<"submitJob" | "listJobs" | "showJob" | "cancelJob" | "waitForJob"> {
  const { store, changes, gate, limits } = rooms;
  return {
    async submitJob({ token, body, headers }) {
      gate.submit(token);
      const findings = checkWireJob(body.job);
      if (findings.length > 0) {
        const violations = findings.map(({ path, says }) => ({ path, says: [says] }));
        throw invalid("body.job", violations);
      }
      await demandRoom(rooms);
      const key = headers["idempotency-key"];
      const submitted = await store.submit({
        owner: token.name,
        request: body,
        queuedMax: limits.queuedMax,
        ...(key === undefined ? {} : { idempotencyKey: key }),
      });
      switch (submitted.kind) {
        case "key-reused":
          throw new Refusal("key-reused");
        case "inputs-missing":
          throw new Refusal("inputs-missing", { missing: submitted.missing });
        case "input-differs": {
          const says = [`the input that was uploaded has ${submitted.bytes} bytes`];
          const path = ["inputs", String(submitted.number), "bytes"];
          throw invalid("body.job", [{ path, says }]);
        }
        case "queue-full": {
          const detail = `${token.name} has ${submitted.queued} jobs in the queue, ${limits.queuedMax} are allowed: wait for some, or cancel some`;
          throw new Refusal("queue-full", { detail }, { "retry-after": "60" });
        }
        case "queued":
        case "known":
          return { status: submitted.kind === "queued" ? 201 : 200, json: { id: submitted.id } };
      }
    },

    async listJobs({ token, query: { limit = 50, ...filter } }) {
      if (token.role !== "submitter")
        return { status: 200, json: await store.list({ ...filter, limit }) };
      const isTheirs = filter.owner === undefined || filter.owner === token.name;
      const page = isTheirs
        ? await store.list({ ...filter, limit, owner: token.name })
        : { jobs: [] };
      return { status: 200, json: page };
    },

    async showJob({ token, path }) {
      return { status: 200, json: theirs(await store.show(path.job), token, path.job) };
    },

    async cancelJob({ token, path, body }) {
      await glanceFor(rooms, token, path.job);
      const job = await store.cancel(path.job, body.why ?? `cancelled by ${token.name}`);
      changes.tell(path.job);
      changes.tell(path.job, "cancel");
      return { status: 200, json: job };
    },

    async waitForJob({ token, path, query: { seconds = 30 }, signal }) {
      const gone = signal();
      gate.wait(token, gone);
      const bell = new Bell();
      using _ = changes.follow(path.job, bell.ring);
      const endMs = performance.now() + seconds * 1000;
      for (;;) {
        const { state } = await glanceFor(rooms, token, path.job);
        const leftMs = endMs - performance.now();
        if (state === "settled" || leftMs <= 0 || gone.aborted)
          return { status: 200, json: theirs(await store.show(path.job), token, path.job) };
        await bell.heard(Math.min(leftMs, LOOK_AGAIN_MS), gone);
      }
    },
  };
}
