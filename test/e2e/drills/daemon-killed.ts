import { bringsHome } from "./brings-home.ts";
import { digestOf } from "./counting.ts";
import { daemonDies, passing } from "./daemon-dies.ts";
import type { Expected } from "./expected.ts";
import {
  atArtifactBytes,
  atCall,
  atGrant,
  atLine,
  atMachineFile,
  inPhase,
  type Moment,
  printed,
} from "./moments.ts";
import type { Row } from "./row.ts";

const FIVE_SECONDS = { lines: 50 };
const passes: Expected = { verdict: "passed", counting: FIVE_SECONDS };

/** SIGKILL at a moment, and nothing else. */
type Killed = {
  readonly id: string;
  readonly phase: string;
  readonly fault: string;
  readonly moment: Moment;
  readonly isGated?: true;
  readonly isCore?: true;
};

const KILLED: readonly Killed[] = [
  {
    id: "F-02",
    phase: "leased",
    fault: "killed: the lease is noted, and nothing else has happened",
    moment: atGrant,
  },
  {
    id: "F-05",
    phase: "preparing",
    fault: "killed: the overlay is made",
    moment: atMachineFile("disk.qcow2"),
  },
  {
    id: "F-06",
    phase: "preparing",
    fault: "killed: seed and keys are written",
    moment: atMachineFile("seed.iso"),
  },
  {
    id: "F-07",
    phase: "booting",
    fault: "killed: the machine is about to be defined",
    moment: atCall("before", "domainDefineXmlFlags"),
    isGated: true,
  },
  {
    id: "F-07",
    phase: "booting",
    fault: "killed: the machine is defined and not started",
    moment: atCall("before", "domainCreateWithFlags"),
    isGated: true,
  },
  {
    id: "F-08",
    phase: "booting",
    fault: "killed: the machine is started, and nobody has heard so",
    moment: atCall("after", "domainCreateWithFlags"),
    isGated: true,
    isCore: true,
  },
  {
    id: "F-09",
    phase: "booting",
    fault: "killed: the machine boots",
    moment: inPhase("booting"),
  },
  {
    id: "F-09",
    phase: "connecting",
    fault: "killed: the guest is waited for",
    moment: inPhase("connecting"),
  },
  {
    id: "F-11",
    phase: "running",
    fault: "killed: first second of a step",
    moment: atLine(2),
  },
  {
    id: "F-11",
    phase: "running",
    fault: "killed: middle of a step",
    moment: atLine(25),
    isCore: true,
  },
  {
    id: "F-11",
    phase: "running",
    fault: "killed: last second of a step",
    moment: atLine(46),
  },
  {
    id: "F-16",
    phase: "teardown",
    fault: "killed: the machine is about to be destroyed",
    moment: atCall("before", "domainDestroyFlags"),
    isGated: true,
  },
  {
    id: "F-16",
    phase: "teardown",
    fault: "killed: the machine is destroyed, and nobody has heard so",
    moment: atCall("after", "domainDestroyFlags"),
    isGated: true,
  },
  {
    id: "F-16",
    phase: "teardown",
    fault: "killed: the machine is about to be undefined",
    moment: atCall("before", "domainUndefineFlags"),
    isGated: true,
  },
  {
    id: "F-16",
    phase: "teardown",
    fault: "killed: the machine is undefined, its folder is there",
    moment: atCall("after", "domainUndefineFlags"),
    isGated: true,
    isCore: true,
  },
];

const UPLOAD = 8_000_000;

/** SIGKILL at a moment, of jobs that do more than count. */
export const DAEMON_KILLED: readonly Row[] = [
  ...KILLED.map(({ moment, isGated, ...row }): Row => {
    const lab = isGated === undefined ? {} : { lab: { isGated } };
    return { ...row, ...lab, machines: daemonDies({ moment, expected: passes }) };
  }),
  {
    id: "F-10",
    phase: "running",
    fault: "killed: an input is on its way into the guest",
    machines: daemonDies({
      moment: printed("the machine is ready"),
      expected: {
        verdict: "passed",
        logs: { "step-1": `${digestOf(Buffer.alloc(UPLOAD))}  /in\n` },
      },
      files: { zeros: Buffer.alloc(UPLOAD) },
      job: {
        inputs: [{ from: "zeros", to: "/in" }],
        steps: [{ name: "look", run: "sha256sum /in" }],
      },
    }),
  },
  {
    id: "F-12",
    phase: "running",
    fault: "killed, and away for longer than the job takes",
    machines: daemonDies({
      moment: atLine(10),
      expected: passes,
      until: async () => await passing(20),
    }),
  },
  {
    id: "F-14",
    phase: "collecting",
    fault: "killed: artifacts are about to come home",
    machines: daemonDies({ moment: inPhase("collecting"), ...bringsHome }),
  },
  {
    id: "F-14",
    phase: "collecting",
    fault: "killed: half of an artifact has come home",
    isCore: true,
    machines: daemonDies({ moment: atArtifactBytes("out/zeros", 1_000_000), ...bringsHome }),
  },
];
