import type { TokenView } from "#protocol/token.ts";
import type { HandlersOf } from "./ask.ts";
import { held, notHeld } from "./held.ts";
import { readAll } from "./read-all.ts";
import { Refusal } from "./refusal.ts";
import { renewLease } from "./renew-lease.ts";
import type { Rooms } from "./rooms.ts";
import { haveReply, takeUpload } from "./upload.ts";

/** What hosts ask. */
export function leaseHandlers(
  rooms: Rooms,
): HandlersOf<
  | "takeLease"
  | "renewLease"
  | "writeLog"
  | "haveArtifact"
  | "writeArtifact"
  | "readInput"
  | "reportVerdict"
> {
  const { store, logs, contents, changes, waiters, limits, remarks } = rooms;
  return {
    async takeLease({ token, body, signal }) {
      if (body.host !== token.name) {
        const detail = `the token is of host ${token.name}, not of ${body.host}`;
        throw new Refusal("forbidden", { detail });
      }
      const grant = await waiters.take(body, signal());
      if (grant === undefined) return { status: 204 };
      const { lease, jobId, attempt } = grant;
      changes.remember(lease, { jobId, attempt, hasLogs: false });
      changes.tell(jobId);
      return { status: 200, json: grant };
    },

    renewLease: (ask) => renewLease(rooms, ask),

    async writeLog({ token, path: { lease, log }, query: { offset }, source, sourceBytes }) {
      if (offset + sourceBytes > limits.logBytes)
        throw new Refusal("too-large", { detail: `a log has at most ${limits.logBytes} bytes` });
      const bytes = await readAll(source);
      const { jobId, attempt } = await held(rooms, lease, token);
      const key = { jobId, attempt, log };
      if (bytes.length === 0)
        return haveReply({ haveBytes: await logs.have(key), isComplete: false });
      changes.remember(lease, { jobId, attempt, hasLogs: true }).hasLogs = true;
      const { kind, haveBytes } = await logs.append(key, offset, bytes);
      if (kind === "wrong-offset") throw new Refusal("wrong-offset", { haveBytes });
      return haveReply({ haveBytes, isComplete: false });
    },

    async haveArtifact({ token, path: { lease, sha256 } }) {
      const { jobId, attempt } = await held(rooms, lease, token);
      return haveReply(await contents.have({ kind: "artifact", jobId, attempt, sha256 }));
    },

    async writeArtifact(ask) {
      const { token, path } = ask;
      const { jobId, attempt } = await held(rooms, path.lease, token);
      const key = { kind: "artifact", jobId, attempt, sha256: path.sha256 } as const;
      return haveReply(await takeUpload(rooms, key, ask));
    },

    async readInput({ token, path: { lease, sha256 } }) {
      const { owner } = await held(rooms, lease, token);
      const sizeBytes = await store.leasedInput(lease, token.name, sha256);
      if (sizeBytes === undefined)
        throw new Refusal("not-found", { detail: "the leased job names no such input" });
      const key = { kind: "input", owner, sha256 } as const;
      return { status: 200, sizeBytes, open: (span) => contents.read(key, span) };
    },

    async reportVerdict({ token, path: { lease }, body }) {
      await keepLogs(rooms, lease, token);
      const settled = await store.settle(lease, token.name, body);
      if (settled.kind !== "taken") throw notHeld(settled);
      const about = changes.leased(lease);
      if (about !== undefined)
        remarks.onSettled?.({
          job: about.jobId,
          attempt: about.attempt,
          host: token.name,
          verdict: body.verdict,
          jobIs: settled.job,
        });
      changes.tellLease(lease);
      changes.forget(lease);
      return { status: 200, json: { job: settled.job } };
    },
  };
}

/** Has the logs of an attempt survive a power cut, before its verdict is taken: then the host lets go of what it has. */
async function keepLogs({ store, logs, changes }: Rooms, lease: string, token: TokenView) {
  const known = changes.leased(lease);
  if (known?.hasLogs === false) return;
  // A lease that does not hold is the store's to judge: it knows repeats of a verdict.
  const found = known ?? (await store.holds(lease, token.name));
  if ("jobId" in found) await logs.keep(found.jobId, found.attempt);
}
