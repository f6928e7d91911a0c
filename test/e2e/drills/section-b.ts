import { expect } from "vitest";
import { eventually } from "#test/kit/eventually.ts";
import { processesOf } from "#test/kit/processes.ts";
import { bringsHome } from "./brings-home.ts";
import { passing } from "./daemon-dies.ts";
import type { Expected } from "./expected.ts";
import { leftoversOf } from "./leftovers.ts";
import { HOST, type MachineStage } from "./machine-stage.ts";
import { atArtifactBytes, atLine, inPhase, type Moment } from "./moments.ts";
import { qemuDies } from "./qemu-dies.ts";
import type { Row } from "./row.ts";

const EIGHT_SECONDS = { lines: 80 };
const passes: Expected = { verdict: "passed", counting: EIGHT_SECONDS };

/** Another attempt makes good what somebody on the host did to the first. */
const destroyed: Expected = {
  ...passes,
  attempts: [{ kind: "broken", code: "machine-destroyed", blame: "operator" }, { kind: "passed" }],
};

/** libvirtd is away for a while from a moment on. */
function libvirtAway(moment: Moment, seconds: number, how: "killed" | "frozen" = "killed") {
  return async (stage: MachineStage): Promise<void> => {
    const submitted = Promise.withResolvers<string>();
    const reached = moment(stage, submitted.promise);
    submitted.resolve(await stage.submit(passes));
    await reached;
    if (how === "killed") await stage.libvirt.kill();
    else await stage.libvirt.signal("SIGSTOP");
    await passing(seconds);
    if (how === "killed") await stage.libvirt.begin();
    else await stage.libvirt.signal("SIGCONT");
  };
}

/** The hypervisor layer. */
export const SECTION_B: readonly Row[] = [
  {
    id: "F-27",
    phase: "preparing",
    fault: "libvirtd killed for 2 s",
    machines: libvirtAway(inPhase("preparing"), 2),
  },
  {
    id: "F-27",
    phase: "booting",
    fault: "libvirtd killed for 2 s",
    machines: libvirtAway(inPhase("booting"), 2),
  },
  {
    id: "F-27",
    phase: "connecting",
    fault: "libvirtd killed for 2 s",
    machines: libvirtAway(inPhase("connecting"), 2),
  },
  {
    id: "F-27",
    phase: "running",
    fault: "libvirtd killed for 2 s",
    isCore: true,
    machines: libvirtAway(atLine(20), 2),
  },
  {
    id: "F-27",
    phase: "teardown",
    fault: "libvirtd killed for 20 s, and the step ends meanwhile",
    machines: libvirtAway(atLine(70), 20),
  },
  {
    id: "F-28",
    phase: "leasing",
    fault: "libvirtd away while a job waits: it is left in the queue, and what runs goes on",
    machines: async (stage) => {
      const first = await stage.submit(passes);
      await stage.counted(first, 10);
      await stage.libvirt.kill();
      // What was asked for before libvirtd died may still be given.
      await stage.said(/no work is taken while libvirt is away/);
      const second = await stage.submit(passes);
      await stage.counted(first, 60);
      expect((await stage.lab.show(second)).state).toBe("queued");
      await stage.libvirt.begin();
    },
  },
  {
    id: "F-29",
    phase: "booting",
    fault: "libvirtd frozen for 30 s",
    machines: libvirtAway(inPhase("booting"), 30, "frozen"),
  },
  {
    id: "F-29",
    phase: "running",
    fault: "libvirtd frozen for 30 s",
    machines: libvirtAway(atLine(20), 30, "frozen"),
  },
  {
    id: "F-30",
    phase: "booting",
    fault: "QEMU killed",
    machines: qemuDies({ moment: inPhase("connecting"), signal: "SIGKILL" }),
  },
  {
    id: "F-30",
    phase: "running",
    fault: "QEMU killed",
    isCore: true,
    machines: qemuDies({ moment: atLine(20), signal: "SIGKILL" }),
  },
  {
    id: "F-30",
    phase: "collecting",
    fault: "QEMU killed while half of an artifact is home",
    machines: qemuDies({
      moment: atArtifactBytes("out/zeros", 1_000_000),
      signal: "SIGKILL",
      ...bringsHome,
    }),
  },
  {
    id: "F-31",
    phase: "running",
    fault: "QEMU, libvirtd and the daemon killed; libvirtd comes back first",
    machines: async (stage) => await allDie(stage, ["libvirtd", "daemon"]),
  },
  {
    id: "F-31",
    phase: "running",
    fault: "QEMU, libvirtd and the daemon killed; the daemon comes back first",
    machines: async (stage) => await allDie(stage, ["daemon", "libvirtd"]),
  },
  {
    id: "F-32",
    phase: "running",
    fault: "QEMU frozen",
    where: "machines",
    provenBy: [
      {
        file: "test/e2e/leftovers.test.ts",
        test: "a QEMU process that gets SIGSTOP mid-step ends the run as *",
      },
    ],
  },
  {
    id: "F-33",
    phase: "running",
    fault: "QEMU ended by SIGABRT, as by an assertion",
    machines: qemuDies({ moment: atLine(20), signal: "SIGABRT" }),
  },
  {
    id: "F-33",
    phase: "running",
    fault: "QEMU ended by SIGSEGV",
    machines: qemuDies({ moment: atLine(20), signal: "SIGSEGV" }),
  },
  {
    id: "F-35",
    phase: "running",
    fault: "somebody destroys the machine",
    machines: async (stage) => {
      const id = await stage.submit(destroyed);
      await stage.counted(id, 20);
      await stage.libvirt.virsh("destroy", await stage.machineOf(id));
    },
  },
  {
    id: "F-35",
    phase: "running",
    fault: "somebody undefines the machine",
    machines: async (stage) => {
      const id = await stage.submit(destroyed);
      await stage.counted(id, 20);
      await stage.libvirt.virsh("undefine", await stage.machineOf(id));
    },
  },
  {
    id: "F-37",
    phase: "running",
    fault: "virtlogd killed, and back for the next machine",
    machines: async (stage) => {
      const first = await stage.submit(passes);
      await stage.counted(first, 20);
      await stage.libvirt.killVirtlogd();
      await stage.counted(first, 60);
      await stage.libvirt.launchVirtlogd();
      await stage.submit(passes);
    },
  },
  {
    id: "F-38",
    phase: "connecting",
    fault: "the slot's dnsmasq killed: the guest is found all the same",
    machines: async (stage) => {
      const first = await stage.submit({ verdict: "passed", counting: { lines: 3 } });
      await stage.settled(first);
      const [dnsmasq = 0] = await processesOf(
        "dnsmasq",
        `testbed-${(await stage.installation()).slice(0, 8)}`,
      );
      process.kill(dnsmasq, "SIGKILL");
      await stage.submit(passes);
    },
  },
  {
    id: "F-40",
    phase: "booting",
    fault: "the slot's network is missing, stands still, or is not as libvirt knows it",
    where: "machines",
    provenBy: [{ file: "test/e2e/networks.test.ts", test: "*" }],
  },
  {
    id: "F-41",
    phase: "booting",
    fault: "libvirt takes 60 s to start a machine",
    lab: { isGated: true },
    machines: async (stage) => {
      const moment = { when: "after", procedure: "domainCreateWithFlags" } as const;
      stage.gate.once(moment, async () => await passing(60));
      await stage.submit(passes);
    },
  },
  {
    id: "F-42",
    phase: "starting",
    fault: "fifty machines of attempts that nobody remembers, and one that only looks like ours",
    machines: async (stage) => {
      await stage.lab.end(HOST);
      const left = await leftoversOf(stage, 50);
      await stage.lab.begin(HOST);
      await eventually(async () => (await left.ours()).length === 0, 60_000);
      expect(await left.strangers()).toHaveLength(1);
      await left.removeStrangers();
      await stage.submit(passes);
    },
  },
];

async function allDie(
  stage: MachineStage,
  order: readonly ("libvirtd" | "daemon")[],
): Promise<void> {
  const again: Expected = {
    ...passes,
    attempts: [{ kind: "broken", code: "machine-crashed", blame: "host" }, { kind: "passed" }],
  };
  const id = await stage.submit(again);
  await stage.counted(id, 20);
  await stage.lab.end(HOST);
  await stage.libvirt.kill();
  await stage.signalQemu(id, "SIGKILL");
  for (const who of order)
    if (who === "daemon") await stage.lab.begin(HOST);
    else await stage.libvirt.begin();
}
