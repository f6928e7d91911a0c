import { countingStep } from "./counting.ts";
import type { Expected } from "./expected.ts";
import type { MachineStage } from "./machine-stage.ts";
import type { Row } from "./row.ts";

const HOSTILE = "test/e2e/hostile-guests.test.ts";
const CUT = "test/integration/guest/lost-connections.test.ts";
const FLOODS = "test/integration/guest/hostile.test.ts";

const FIVE_SECONDS = { lines: 50 };

/** What a guest does to itself is the job's doing, and is not tried again. */
function brokenByJob(code: "guest-panicked" | "guest-runner-lost"): Expected {
  return { verdict: "broken", attempts: [{ kind: "broken", code, blame: "job" }] };
}

/** A job of one step that does something to its guest. */
function guestDoes(run: string, expected: Expected, more: object = {}) {
  return async (stage: MachineStage): Promise<void> => {
    await stage.submit(expected, { steps: [{ name: "do", run, ...more }] });
  };
}

/** The guest. */
export const SECTION_C: readonly Row[] = [
  {
    id: "F-43",
    phase: "running",
    fault: "the guest's kernel panics",
    where: "machines",
    provenBy: [{ file: HOSTILE, test: "a guest that panics ends with the right verdict" }],
  },
  {
    id: "F-44",
    phase: "running",
    fault: "the guest hangs silently",
    where: "both",
    provenBy: [
      {
        file: CUT,
        test: "a guest that freezes is unreachable, and its step not to blame, with *",
      },
    ],
  },
  {
    id: "F-45",
    phase: "running",
    fault: "the guest reboots: never read as success, and not tried again",
    machines: guestDoes("echo before; reboot -f; sleep 300", brokenByJob("guest-runner-lost")),
  },
  {
    id: "F-47",
    phase: "running",
    fault: "the guest panics and reboots by itself",
    machines: guestDoes(
      "echo 1 > /proc/sys/kernel/panic; echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; sleep 300",
      brokenByJob("guest-panicked"),
    ),
  },
  {
    id: "F-48",
    phase: "running",
    fault: "the guest's disk is full: the job's own failure",
    where: "both",
    provenBy: [
      { file: HOSTILE, test: "a guest that fills its disk and fails ends with the right verdict" },
      { file: "test/integration/guest/full-disks.test.ts", test: "*" },
    ],
  },
  {
    id: "F-49",
    phase: "running",
    fault: "the guest runs out of memory, and its kernel kills the step",
    machines: guestDoes("tail /dev/zero", { verdict: "failed" }),
  },
  {
    id: "F-49",
    phase: "running",
    fault: "the guest's SSH server is killed",
    where: "machines",
    provenBy: [
      {
        file: HOSTILE,
        test: "a guest that kills its SSH server mid-step ends with the right verdict",
      },
    ],
  },
  {
    id: "F-50",
    phase: "running",
    fault: "a fork bomb is its job's doing, and a neighbour passes",
    where: "machines",
    provenBy: [{ file: HOSTILE, test: "a fork bomb is its job's doing, *" }],
  },
  {
    id: "F-51",
    phase: "connecting",
    fault: "an image that never boots, in all ways there are",
    where: "machines",
    provenBy: [
      { file: HOSTILE, test: "the image * ends as *, with its stage and its console" },
      {
        file: "test/e2e/cli-exit-codes.test.ts",
        test: "unbootable.yaml: exit status 3, the image's fault, with stage and evidence",
      },
    ],
  },
  {
    id: "F-52",
    phase: "connecting",
    fault: "boots without network, without SSH server, with a wrong host key",
    where: "both",
    provenBy: [
      { file: HOSTILE, test: "the image hangs-before-ssh ends as *" },
      { file: HOSTILE, test: "the image wrong-host-key ends as *" },
      {
        file: "test/integration/guest/readiness.test.ts",
        test: "a machine that has no address: guest-no-ssh at `address found`",
      },
      {
        file: "test/integration/guest/readiness.test.ts",
        test: "a guest with a wrong host key is never offered our key",
      },
    ],
  },
  {
    id: "F-53",
    phase: "running",
    fault: "a step ignores SIGTERM",
    where: "both",
    provenBy: [
      {
        file: CUT,
        test: "a step that ignores being asked is forced when it is cancelled, with all its group",
      },
    ],
  },
  {
    id: "F-55",
    phase: "running",
    fault: "a log of a gigabyte, with and without lines, and of NULs",
    where: "both",
    provenBy: [{ file: FLOODS, test: "a gigabyte of log *, costs little memory" }],
  },
  {
    id: "F-56",
    phase: "collecting",
    fault: "artifacts without end: size, count, depth",
    where: "both",
    provenBy: [
      {
        file: "test/integration/guest/hostile-archives.test.ts",
        test: "the count, the size of one and of all are capped; what came until then is kept",
      },
      {
        file: "test/integration/guest/hostile-archives.test.ts",
        test: "an entry of eight tebibytes ends the collection at once",
      },
    ],
  },
  {
    id: "F-57",
    phase: "running",
    fault: "the console is flooded",
    machines: async (stage) => {
      const { run } = countingStep(FIVE_SECONDS);
      const flood = `(yes > /dev/ttyS0) & ${run.replace("; exit 0", "; kill $!; exit 0")}`;
      const steps = [{ name: "count", run: flood }];
      await stage.submit({ verdict: "passed", counting: FIVE_SECONDS }, { steps });
    },
  },
  {
    id: "F-58",
    phase: "running",
    fault: "the guest takes another MAC and another address: it is lost, a neighbour is not",
    machines: async (stage) => {
      const change =
        "ip link set eth0 down; ip link set eth0 address 52:54:00:00:00:99; ip link set eth0 up; sleep 600";
      const steps = [{ name: "change", run: change }];
      const unreachable = { kind: "broken", code: "guest-unreachable" } as const;
      await stage.submit({ verdict: "broken", attempts: [unreachable] }, { steps, attempts: 1 });
      await stage.submit({ verdict: "passed", counting: FIVE_SECONDS });
    },
  },
  {
    id: "F-58",
    phase: "running",
    fault: "the guest reaches for others, and for the host",
    where: "machines",
    provenBy: [
      {
        file: "test/e2e/isolation.test.ts",
        test: "a guest reaches nothing on the host, and would without the firewall",
      },
    ],
  },
  {
    id: "F-59",
    phase: "running",
    fault: "the guest's clock is set years ahead, and back",
    machines: async (stage) => {
      const { run } = countingStep(FIVE_SECONDS);
      const steps = [
        { name: "count", run: `date -s 2041-01-01 >/dev/null; ${run}`, timeout: "2m" },
        { name: "back", run: "date -s 2001-01-01 >/dev/null; sleep 2", timeout: "2m" },
      ];
      await stage.submit({ verdict: "passed", counting: FIVE_SECONDS }, { steps });
    },
  },
];
