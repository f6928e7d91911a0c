import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { AttemptOrder, AttemptReport, Listener } from "#host/runner/attempt.ts";
import { type Journal, NO_JOURNAL } from "#host/runner/journal.ts";
import { runJob } from "#host/runner/run-job.ts";
import { openStateFolder } from "#host/runner/state-folder.ts";
import { Fault } from "#job/fault.ts";
import type { JobSpec, Step } from "#job/spec.ts";
import { FakeGuests } from "#test/fakes/fake-guests.ts";
import { FakeHypervisor } from "#test/fakes/fake-hypervisor.ts";
import { FakeImages } from "#test/fakes/fake-images.ts";
import { scratchFolder } from "./scratch.ts";

/** A host of fakes in a folder of its own, and a way to run one attempt on it. */
export async function paperHouse() {
  const folder = await scratchFolder();
  const state = await openStateFolder(join(folder.path, "state"));
  const rooms = {
    state,
    hypervisor: new FakeHypervisor(),
    images: new FakeImages(),
    guests: new FakeGuests(),
  };
  rooms.guests.onPowerOff = (name) =>
    rooms.hypervisor.machines.get(name)?.end(new Fault("guest-powered-off", "it powered off"));
  const results = join(folder.path, "results");
  await mkdir(results);
  const events: string[] = [];
  const listener: Listener = {
    enter: (phase) => events.push(`phase ${phase}`),
    takenUp: (phase) => events.push(`taken up in ${phase}`),
    image: ({ name }) => events.push(`image ${name}`),
    requirement: (name, now) => events.push(`${now} ${name}`),
    inputsSent: (bytes, isAll) => events.push(`sent ${bytes}${isAll ? " in all" : ""}`),
    progress: (line) => events.push(line),
    stepBegins: (_number, name) => events.push(`begins ${name}`),
    stepLog: (_number, piece) => events.push(`log ${piece}`),
    stepEnds: ({ name, outcome }) => events.push(`${outcome} ${name}`),
    leak: (what) => events.push(`leak ${what}`),
  };
  return {
    ...rooms,
    results,
    events,
    run: async (
      spec: Partial<JobSpec>,
      more: Partial<AttemptOrder> & { signal?: AbortSignal; journal?: Journal } = {},
    ): Promise<AttemptReport> => {
      const order = { ...paperOrder(results), ...more, spec: { ...paperSpec(), ...spec } };
      const told = { listener, journal: more.journal ?? NO_JOURNAL };
      return await runJob(rooms, order, told, more.signal ?? new AbortController().signal);
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** A step with nothing special about it. */
export function step(name: string, run: string, more: Partial<Step> = {}): Step {
  return {
    name,
    run,
    when: "success",
    timeoutSeconds: undefined,
    silenceSeconds: undefined,
    ...more,
  };
}

function paperOrder(resultsFolder: string): Omit<AttemptOrder, "spec"> {
  return {
    job: "0123456789abcdef",
    attempt: 1,
    resultsFolder,
    acceleration: "tcg",
    keep: false,
    isResumable: false,
    libvirtPatienceSeconds: 0,
    logLimitBytes: 1024,
  };
}

export function paperSpec(): JobSpec {
  return {
    image: "paper",
    cpus: 1,
    memoryMiB: undefined,
    diskMiB: undefined,
    network: "nat",
    timeoutSeconds: 30,
    attempts: 1,
    inputs: [],
    env: {},
    steps: [step("hello", "echo hello")],
    artifacts: [],
  };
}
