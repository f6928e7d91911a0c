import type { ROUTES } from "#protocol/routes.ts";
import type { TokenView } from "#protocol/token.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import type { Ask, Reply } from "./ask.ts";
import { demandDelivered, namesFiles } from "./delivered.ts";
import { notHeld } from "./held.ts";
import { invalid } from "./read-request.ts";
import type { Rooms } from "./rooms.ts";

/** Verdicts are shown with each job and host; what `fitVerdict` makes is never so long. */
const VERDICT_BYTES_MAX = 512 * 1024;

/** Takes a verdict, once everything that it names is on disk. */
export async function reportVerdict(
  rooms: Rooms,
  { token, path: { lease }, body, sourceBytes }: Ask<(typeof ROUTES)["reportVerdict"]>,
): Promise<Reply> {
  const { store, changes, remarks } = rooms;
  // The length of a body that comes in chunks is not told.
  if (sourceBytes === 0 || sourceBytes > VERDICT_BYTES_MAX) demandShort(body.verdict);
  await prepareVerdict(rooms, { lease, token, body });
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
}

function demandShort(verdict: VerdictReport["verdict"]): void {
  if (Buffer.byteLength(JSON.stringify(verdict)) <= VERDICT_BYTES_MAX) return;
  const says = [`is longer than ${VERDICT_BYTES_MAX} bytes`];
  throw invalid("body.verdict", [{ path: ["fault", "evidence"], says }]);
}

/**
 * Before a verdict is taken: all that it names is here, and the logs survive a power cut. Then the host lets go of what it has.
 * A lease that does not hold is the store's to judge: it knows repeats of a verdict.
 */
async function prepareVerdict(
  rooms: Rooms,
  { lease, token, body }: { lease: string; token: TokenView; body: VerdictReport },
): Promise<void> {
  const { store, logs, changes } = rooms;
  const known = changes.leased(lease);
  const isOurs = known?.host === token.name;
  if (isOurs && !known.hasLogs && !namesFiles(body)) return;
  const found = isOurs ? known : await store.holds(lease, token.name);
  if (!("jobId" in found)) return;
  await demandDelivered(rooms, found, body);
  await logs.keep(found.jobId, found.attempt);
}
