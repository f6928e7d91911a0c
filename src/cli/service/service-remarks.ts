import type { Log } from "#lib/log.ts";
import { Seldom } from "#lib/seldom.ts";
import type { Remarks } from "#service/api/remarks.ts";

/** The same refusal, or the same slow answer, is said once a minute, with how often it was not said since. */
const REPEAT_MS = 60_000;
const KEYS_MAX = 1_000;

/** Everything that the service's API has to say to its operator, as lines of the log. */
export function serviceRemarks(log: Log): Required<Remarks> {
  const refusals = new Seldom(REPEAT_MS, KEYS_MAX);
  const slowness = new Seldom(REPEAT_MS, KEYS_MAX);
  return {
    onBug: (error) => log.error("bug", { error }),
    onRefused: ({ operation, problem, detail, address = "local" }) => {
      const unsaid = refusals.take(`${problem} ${operation} ${address}`);
      if (unsaid === undefined) return;
      log.warn("request refused", { operation, problem, detail, address, unsaid });
    },
    onSlow: (operation, seconds) => {
      const unsaid = slowness.take(operation);
      if (unsaid === undefined) return;
      log.warn("slow answer", { operation, seconds: Number(seconds.toFixed(3)), unsaid });
    },
    onSettled: ({ job, attempt, host, verdict: { kind, fault }, jobIs }) => {
      const blame = fault && { fault: fault.code, blame: fault.blame };
      log.info("attempt settled", { job, attempt, host, verdict: kind, ...blame, jobIs });
    },
  };
}
