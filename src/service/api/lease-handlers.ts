import type { HandlersOf } from "./ask.ts";
import { held, remember } from "./held.ts";
import { readAll } from "./read-all.ts";
import { roomFor } from "./read-request.ts";
import { Refusal } from "./refusal.ts";
import { renewLease } from "./renew-lease.ts";
import { reportVerdict } from "./report-verdict.ts";
import type { Rooms } from "./rooms.ts";
import type { Allowance } from "./tally.ts";
import { checkTotal, haveReply, takeUpload } from "./upload.ts";

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
  const { store, logs, contents, changes, waiters, limits, space } = rooms;
  return {
    async takeLease({ token, body, signal }) {
      if (body.host !== token.name) {
        const detail = `the token is of host ${token.name}, not of ${body.host}`;
        throw new Refusal("forbidden", { detail });
      }
      // What is left of a nearly full disk is for what runs; a repeat still gets the lease that it led to.
      const slots = (await space.hasRoom()) ? body.free.slots : 0;
      const grant = await waiters.take({ ...body, free: { ...body.free, slots } }, signal);
      if (grant === undefined) return { status: 204 };
      const { lease, jobId, attempt } = grant;
      remember(rooms, lease, { host: token.name, jobId, attempt, hasLogs: false });
      changes.tell(jobId);
      return { status: 200, json: grant };
    },

    renewLease: (ask) => renewLease(rooms, ask),

    async writeLog({ token, path: { lease, log }, query: { offset }, source, sourceBytes }) {
      if (offset + sourceBytes > limits.logBytes)
        throw new Refusal("too-large", { detail: `a log has at most ${limits.logBytes} bytes` });
      using _ = roomFor(rooms, token, sourceBytes);
      const bytes = await readAll(source);
      const { jobId, attempt, known } = await held(rooms, lease, token);
      const key = { jobId, attempt, log };
      if (bytes.length === 0)
        return haveReply({ haveBytes: await logs.have(key), isComplete: false });
      known.hasLogs = true;
      // An offset beyond all that there may be is wrong, and must not count.
      const isNext = offset <= (await known.logs.of(log));
      const end = offset + bytes.length;
      if (isNext && !(await known.logs.claim(log, end, limits.attemptLogs)))
        throw new Refusal("over-quota", { detail: beyond("logs", limits.attemptLogs) });
      const { kind, haveBytes } = await logs.append(key, offset, bytes);
      if (kind === "wrong-offset") throw new Refusal("wrong-offset", { haveBytes });
      return haveReply({ haveBytes, isComplete: false });
    },

    async haveArtifact({ token, path: { lease, sha256 } }) {
      const { jobId, attempt } = await held(rooms, lease, token);
      return haveReply(await contents.have({ kind: "artifact", jobId, attempt, sha256 }));
    },

    async writeArtifact(ask) {
      const { token, path, query } = ask;
      checkTotal(rooms, ask);
      const { jobId, attempt, known } = await held(rooms, path.lease, token);
      if (!(await known.artifacts.claim(path.sha256, query.total, limits.attemptArtifacts)))
        throw new Refusal("over-quota", { detail: beyond("artifacts", limits.attemptArtifacts) });
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

    reportVerdict: (ask) => reportVerdict(rooms, ask),
  };
}

function beyond(what: string, { bytesMax, countMax }: Allowance): string {
  return `the ${what} of an attempt are at most ${countMax}, of ${bytesMax} bytes together`;
}
