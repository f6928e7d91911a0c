import { SERVICE } from "#test/kit/lab.ts";
import { bringsHome } from "./brings-home.ts";
import { passing } from "./daemon-dies.ts";
import type { Expected } from "./expected.ts";
import { HOST, type MachineStage } from "./machine-stage.ts";
import { atArtifactBytes, atGrant, atLine, inPhase, type Moment } from "./moments.ts";
import { PAPER_NETWORK } from "./paper-network.ts";
import type { Row } from "./row.ts";

const UPLINK = "test/integration/daemon/uplink.test.ts";
const CLIENT = "test/integration/service/service-client.test.ts";

const EIGHT_SECONDS = { lines: 80 };
const passes: Expected = { verdict: "passed", counting: EIGHT_SECONDS };

/** Whatever an attempt is at, a cancel ends it soon. */
const CANCEL_MS = 30_000;

/** A job is cancelled at a moment, and is over within half a minute. */
function cancelled(moment: Moment) {
  return async (stage: MachineStage): Promise<void> => {
    const submitted = Promise.withResolvers<string>();
    const reached = moment(stage, submitted.promise);
    const id = await stage.submit(
      { verdict: "cancelled", counting: EIGHT_SECONDS, extent: "part" },
      { artifacts: ["/etc/**"] },
    );
    submitted.resolve(id);
    await reached;
    const askedMs = performance.now();
    await stage.lab.testbed("cancel", id, "--why", "a drill");
    await stage.settled(id);
    const tookMs = performance.now() - askedMs;
    if (tookMs > CANCEL_MS) throw new Error(`the cancel took ${tookMs} ms`);
  };
}

/** Service, network, time. */
export const SECTION_F: readonly Row[] = [
  {
    id: "F-78",
    phase: "running",
    fault: "service and daemon killed; the daemon goes on while the service is away",
    isCore: true,
    machines: async (stage) => {
      const id = await stage.submit(passes);
      await stage.counted(id, 20);
      await stage.lab.end(SERVICE);
      await stage.lab.end(HOST);
      await stage.lab.begin(HOST);
      await stage.counted(id, 60);
      await stage.lab.begin(SERVICE);
    },
  },
  {
    id: "F-79",
    phase: "running",
    fault: "the service is away from the middle of a step until long after the job",
    machines: async (stage) => {
      const id = await stage.submit(passes);
      await stage.counted(id, 20);
      await stage.lab.end(SERVICE);
      await stage.noted(id, "verdict.json");
      await passing(10);
      await stage.lab.begin(SERVICE);
    },
  },
  {
    id: "F-79",
    phase: "delivering",
    fault: "the service killed while logs and artifacts come in",
    machines: async (stage) => {
      const id = await stage.submit(bringsHome.expected, bringsHome.job);
      await stage.noted(id, "verdict.json");
      await stage.lab.end(SERVICE);
      await stage.lab.begin(SERVICE);
    },
  },
  {
    id: "F-80",
    phase: "any",
    fault: "500, 502 and pages of a proxy's; 429 with all sorts of Retry-After",
    where: "fakes",
    provenBy: [
      { file: UPLINK, test: "* ends no attempt: it is asked again" },
      {
        file: UPLINK,
        test: "a pause that is asked for is made, and is not forgotten when it is longer than a timer holds",
      },
    ],
  },
  ...PAPER_NETWORK,
  {
    id: "F-82",
    phase: "any",
    fault: "an answer that trickles without end",
    where: "fakes",
    provenBy: [
      {
        file: CLIENT,
        test: "an answer that trickles is given up, however often a byte comes",
      },
    ],
  },
  {
    id: "F-83",
    phase: "any",
    fault: "answers that end early, are no JSON, or are no lease",
    where: "fakes",
    provenBy: [
      {
        file: CLIENT,
        test: "a body that ends before its length is an error at once, not a request that hangs",
      },
      { file: UPLINK, test: "a lease with * is none" },
      {
        file: UPLINK,
        test: "an input that does not end is not taken, and is whole when it comes as it should",
      },
    ],
  },
  {
    id: "F-86",
    phase: "any",
    fault: "the answer is lost: of a lease, a log, an artifact, a verdict, a renewal",
    where: "fakes",
    provenBy: [
      {
        file: "test/integration/daemon/restarts.test.ts",
        test: "the answer * is lost: nothing is done twice, and nothing is missing",
      },
    ],
  },
  {
    id: "F-90",
    phase: "any",
    fault: "certificates that are wrong, and TLS that is old",
    where: "fakes",
    provenBy: [
      { file: CLIENT, test: "over TLS it trusts whom it was told to, and says whom it does not" },
      {
        file: "test/integration/service/service-command.test.ts",
        test: "with a certificate, TCP speaks TLS 1.2 or newer",
      },
    ],
  },
  {
    id: "F-92",
    phase: "any",
    fault: "the monotonic clock begins anew, the wall clock jumps",
    where: "fakes",
    provenBy: [
      {
        file: "test/unit/state/attempt-journal.test.ts",
        test: "times of an earlier boot are known as such, and a newer format is not touched",
      },
      {
        file: "test/contract/memory-store.test.ts",
        test: "a wall clock that is set to another time ends no wait, and lengthens none",
      },
    ],
  },
  { id: "F-93", phase: "leased", fault: "cancelled", machines: cancelled(atGrant) },
  { id: "F-93", phase: "preparing", fault: "cancelled", machines: cancelled(inPhase("preparing")) },
  { id: "F-93", phase: "booting", fault: "cancelled", machines: cancelled(inPhase("booting")) },
  {
    id: "F-93",
    phase: "connecting",
    fault: "cancelled",
    machines: cancelled(inPhase("connecting")),
  },
  { id: "F-93", phase: "running", fault: "cancelled", machines: cancelled(atLine(20)) },
  {
    id: "F-93",
    phase: "collecting",
    fault: "cancelled while half of an artifact is home",
    machines: async (stage) => {
      const submitted = Promise.withResolvers<string>();
      const reached = atArtifactBytes("out/zeros", 1_000_000)(stage, submitted.promise);
      const id = await stage.submit({ verdict: "cancelled" }, bringsHome.job);
      submitted.resolve(id);
      await reached;
      await stage.lab.testbed("cancel", id);
    },
  },
];
