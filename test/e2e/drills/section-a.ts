import { expect } from "vitest";
import { eventually } from "#test/kit/eventually.ts";
import { qemuOf } from "#test/kit/processes.ts";
import { counted } from "./counting.ts";
import { daemonDies, passing } from "./daemon-dies.ts";
import { DAEMON_KILLED } from "./daemon-killed.ts";
import type { Expected } from "./expected.ts";
import { HOST, type MachineStage } from "./machine-stage.ts";
import { inPhase } from "./moments.ts";
import { diesUnheard } from "./paper-deaths.ts";
import type { Row } from "./row.ts";

const FIVE_SECONDS = { lines: 50 };
const passes: Expected = { verdict: "passed", counting: FIVE_SECONDS };

/** Its lease is short enough to be lost within a drill. */
const lostLease: Expected = {
  verdict: "passed",
  counting: FIVE_SECONDS,
  attempts: [{ kind: "broken", isFenced: true }, { kind: "passed" }],
};

/** Machines outlive the daemon that is told to stop, and the next one goes on with the same. */
function stopped(signal: NodeJS.Signals) {
  return async (stage: MachineStage): Promise<void> => {
    const id = await stage.submit(passes);
    await stage.counted(id, 20);
    const machine = await stage.machineOf(id);
    const pid = await qemuOf(machine);
    const { exitCode } = await stage.lab.end(HOST, signal);
    expect(exitCode).toBe(0);
    expect(await qemuOf(machine)).toBe(pid);
    await stage.lab.begin(HOST);
    await stage.counted(id, 40);
    expect(await qemuOf(machine)).toBe(pid);
  };
}

/** The daemon dies, stops, or is doubled. */
export const SECTION_A: readonly Row[] = [
  {
    id: "F-01",
    phase: "leased",
    fault: "killed: the service has given a lease, nothing is noted",
    fakes: diesUnheard(
      ({ url }, status) => url === "/v1/leases" && status === 200,
      (stage) => stage.submit({ verdict: "passed", counting: { lines: 3 } }),
    ),
  },
  {
    id: "F-04",
    phase: "preparing",
    fault: "killed: an image is built or looked at",
    where: "machines",
    provenBy: [
      {
        file: "test/integration/images/local-images.test.ts",
        test: "whose process was killed dies, never becomes an image, and is swept by the next",
      },
      {
        file: "test/integration/images/local-images.test.ts",
        test: "whose file has another size, or whose manifest was touched, is damaged",
      },
    ],
  },
  ...DAEMON_KILLED,
  {
    id: "F-13",
    phase: "running",
    fault: "killed, and away for longer than its lease: another host has the job",
    lab: { lease: "30s" },
    machines: async (stage) => {
      const id = await stage.submit(lostLease);
      await stage.counted(id, 20);
      await stage.lab.end(HOST);
      await stage.addHost("drill-other");
      await stage.settled(id);
      await stage.lab.begin(HOST);
    },
  },
  {
    id: "F-15",
    phase: "delivering",
    fault: "killed: the service has the verdict, and nobody has heard so",
    isCore: true,
    fakes: diesUnheard(
      ({ url }) => url?.endsWith("/verdict") === true,
      (stage) => stage.submit({ verdict: "passed", counting: { lines: 3 } }),
    ),
  },
  {
    id: "F-17",
    phase: "any",
    fault: "1000 times killed at random over 200 jobs",
    notTried: "takes long: npm run soak -- F-17",
  },
  {
    id: "F-19",
    phase: "running",
    fault: "SIGTERM, as for an upgrade: stopped within 10 s, the machine stays",
    isCore: true,
    machines: stopped("SIGTERM"),
  },
  {
    id: "F-19",
    phase: "booting",
    fault: "SIGTERM while its machine boots",
    machines: daemonDies({ moment: inPhase("booting"), expected: passes, signal: "SIGTERM" }),
  },
  { id: "F-20", phase: "running", fault: "SIGINT", machines: stopped("SIGINT") },
  { id: "F-20", phase: "running", fault: "SIGHUP", machines: stopped("SIGHUP") },
  {
    id: "F-20",
    phase: "running",
    fault: "SIGTERM twice",
    machines: async (stage) => {
      const id = await stage.submit(passes);
      await stage.counted(id, 20);
      const { running } = stage.lab;
      running.get(HOST)?.kill("SIGTERM");
      await stage.lab.end(HOST, "SIGTERM");
      await stage.lab.begin(HOST);
    },
  },
  {
    id: "F-20",
    phase: "running",
    fault: "SIGUSR1 and SIGPIPE: no debugger listens, nothing ends",
    machines: async (stage) => {
      const id = await stage.submit(passes);
      await stage.counted(id, 10);
      for (const signal of ["SIGUSR1", "SIGPIPE"] as const)
        stage.lab.running.get(HOST)?.kill(signal);
      await stage.counted(id, 40);
      expect(stage.lab.said).not.toMatch(/debugger/i);
    },
  },
  {
    id: "F-21",
    phase: "running",
    fault: "SIGSTOP for 10 s, SIGCONT",
    machines: async (stage) => await frozen(stage, passes, 10),
  },
  {
    id: "F-21",
    phase: "running",
    fault: "SIGSTOP for longer than its lease, SIGCONT",
    lab: { lease: "30s" },
    machines: async (stage) => await frozen(stage, lostLease, 45),
  },
  {
    id: "F-22",
    phase: "running",
    fault: "a heap of 64 MB, a log of 16 MB",
    lab: { env: { NODE_OPTIONS: "--max-old-space-size=64" } },
    machines: async (stage) => {
      const line = "0123456789abcdef0123456789abcde";
      await stage.submit(
        { verdict: "passed", logs: { "step-1": `${line}\n`.repeat(500_000) } },
        { steps: [{ name: "flood", run: `yes ${line} | head -n 500000` }] },
      );
    },
  },
  {
    id: "F-23",
    phase: "any",
    fault: "the event loop stands still",
    where: "both",
    provenBy: [
      {
        file: "test/unit/lib/watchdog.test.ts",
        test: "a thread that does not answer, or is gone, gives no sign; one that answers again does",
      },
    ],
  },
  {
    id: "F-24",
    phase: "any",
    fault: "an error that nobody expected",
    where: "fakes",
    provenBy: [
      {
        file: "test/unit/runner/run-job.test.ts",
        test: "an error that nobody expected is a bug, and still leaves nothing",
      },
    ],
  },
  {
    id: "F-26",
    phase: "running",
    fault: "an upgrade over what the released version left, and a service of another version",
    where: "fakes",
    provenBy: [
      { file: "test/integration/daemon/upgrade.test.ts", test: "*" },
      {
        file: "test/unit/state/attempt-journal.test.ts",
        test: "times of an earlier boot are known as such, and a newer format is not touched",
      },
    ],
  },
  {
    id: "A-two",
    phase: "running",
    fault: "a second daemon in the same state folder",
    machines: async (stage) => {
      const id = await stage.submit(passes);
      await stage.counted(id, 10);
      const second = await stage.lab.testbed("daemon", "--config", stage.lab.configOf(HOST));
      expect(second.exitCode, second.stderr).toBe(2);
      expect(second.stderr).toContain("another daemon works in");
      await stage.counted(id, 40);
    },
  },
];

async function frozen(stage: MachineStage, expected: Expected, seconds: number): Promise<void> {
  const id = await stage.submit(expected);
  await stage.counted(id, 20);
  const daemon = stage.lab.running.get(HOST);
  daemon?.kill("SIGSTOP");
  await passing(seconds);
  daemon?.kill("SIGCONT");
  await eventually(async () => (await stage.logOf(id)) === counted(FIVE_SECONDS), 120_000);
}
