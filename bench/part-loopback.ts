import { measureServer } from "./measure.ts";
import type { PartOrder } from "./part.ts";
import type { Sizes } from "./server.ts";
import { startSshd } from "./sshd.ts";
import { makeWorkplace } from "./workplace.ts";

const ROUNDS = 15;
/** Eight measurements in about three minutes, however busy the machine. */
const BUDGET_MS = 20_000;
const SIZES: Sizes = { bulkMiB: 256, files: 2000, fileBytes: 4096, lines: 1_000_000 };

/** Everything over SSH, on a server that is fast enough to show what we cost. */
export async function measureLoopback({ pairs, say, onFinding, signal }: PartOrder): Promise<void> {
  await using scope = new AsyncDisposableStack();
  const folder = await makeWorkplace(scope);
  say("starting sshd");
  const server = await startSshd(folder, { sizes: SIZES, scope, signal });
  await measureServer({
    server,
    rounds: pairs ?? ROUNDS,
    budgetMs: pairs === undefined ? BUDGET_MS : undefined,
    hasTargets: true,
    say,
    onFinding,
    signal,
  });
}
