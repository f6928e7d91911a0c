import { deafBridges } from "#test/kit/deaf-bridges.ts";
import { passing } from "./daemon-dies.ts";
import type { MachineStage } from "./machine-stage.ts";
import type { Row } from "./row.ts";

const EIGHT_SECONDS = { lines: 80 };
const READINESS = "test/integration/guest/readiness.test.ts";

/** SSH. */
export const SECTION_D: readonly Row[] = [
  {
    id: "F-60",
    phase: "running",
    fault: "packets to and from the guest vanish for 20 s",
    machines: async (stage) => await deaf(stage, 20),
  },
  {
    id: "F-60",
    phase: "running",
    fault: "packets to and from the guest vanish for 60 s",
    machines: async (stage) => await deaf(stage, 60),
  },
  {
    id: "F-62",
    phase: "connecting",
    fault: "a server that accepts and never speaks, or never stops",
    where: "both",
    provenBy: [
      { file: READINESS, test: "connections that are accepted and never spoken to: *" },
      { file: READINESS, test: "connections that are closed at once: *" },
      { file: READINESS, test: "a banner without end: *" },
      { file: READINESS, test: "a banner and no key exchange: *" },
    ],
  },
  {
    id: "F-63",
    phase: "collecting",
    fault: "a link that is slow or stands still",
    where: "both",
    provenBy: [
      {
        file: "test/integration/guest/hostile-archives.test.ts",
        test: "a guest that stops in the middle of sending is not waited for",
      },
      { file: "test/integration/guest/cut-transfers.test.ts", test: "*" },
    ],
  },
];

async function deaf(stage: MachineStage, seconds: number): Promise<void> {
  const id = await stage.submit({ verdict: "passed", counting: EIGHT_SECONDS });
  await stage.counted(id, 20);
  await using _ = await deafBridges(`tb${(await stage.installation()).slice(0, 6)}-`);
  await passing(seconds);
}
