import { counted } from "./counting.ts";
import { daemonDies, passing } from "./daemon-dies.ts";
import type { Row } from "./row.ts";

const FIVE_SECONDS = { lines: 50 };
const passes = { verdict: "passed", counting: FIVE_SECONDS } as const;

/** The daemon dies, stops, or is doubled. */
export const SECTION_A: readonly Row[] = [
  {
    id: "F-09",
    phase: "booting",
    fault: "daemon killed while its machine boots",
    isCore: true,
    machines: daemonDies({
      expected: passes,
      when: (stage, job) => stage.entered(job, "booting"),
    }),
  },
  {
    id: "F-11",
    phase: "running, middle",
    fault: "daemon killed in the middle of a step",
    isCore: true,
    machines: daemonDies({
      expected: passes,
      when: (stage, job) => stage.counted(job, 25),
    }),
  },
  {
    id: "F-00",
    phase: "running",
    fault: "nothing at all",
    machines: async (stage) => {
      const expected = { ...passes, logs: { "step-1": counted(FIVE_SECONDS) } };
      const id = await stage.submit(expected);
      await stage.counted(id, 25);
      await passing(1);
    },
  },
];
