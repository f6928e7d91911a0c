import { digestOf } from "./counting.ts";
import type { Expected } from "./expected.ts";

const ZEROS = 20_000_000;

/** A job with an artifact that is some time on its way. */
export const bringsHome = {
  expected: {
    verdict: "passed",
    logs: { "step-1": "made\n" },
    artifacts: { "out/zeros": digestOf(Buffer.alloc(ZEROS)) },
  } satisfies Expected,
  job: {
    steps: [{ name: "make", run: `mkdir /out; head -c ${ZEROS} /dev/zero >/out/zeros; echo made` }],
    artifacts: ["/out/*"],
  },
};
