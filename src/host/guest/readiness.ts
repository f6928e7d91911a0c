import type { Machine, OnRequirement, Readiness } from "#host/runner/ports.ts";
import { Fault, type FaultCode } from "#job/fault.ts";
import { printable } from "#lib/printable.ts";
import { consoleTail } from "./console-tail.ts";
import { pause } from "./dial.ts";

/**
 * What a guest must fulfil, in order, before a job may use it. Each has a deadline counted from the start of the machine
 * and taken from the image, the fault that its absence is, and a hint for people. The list serves machines that booted
 * and machines that were cloned alike.
 */
export const REQUIREMENTS = [
  {
    name: "domain runs",
    deadline: "consoleSeconds",
    code: "image-unbootable",
    hint: "libvirt never said that the machine runs: see its log in /var/log/libvirt/qemu",
  },
  {
    name: "console speaks",
    deadline: "consoleSeconds",
    code: "image-unbootable",
    hint: "nothing on the serial console: is there a kernel for this architecture, with console=ttyS0?",
  },
  {
    name: "address found",
    deadline: "sshSeconds",
    code: "guest-no-ssh",
    hint: "the guest has no address: has it a driver for virtio-net, and does it ask for DHCP?",
  },
  {
    name: "port answers",
    deadline: "sshSeconds",
    code: "guest-no-ssh",
    hint: "nothing listens on the SSH port: does the image start an SSH server, and is it not behind a firewall?",
  },
  {
    name: "banner",
    deadline: "sshSeconds",
    code: "guest-no-ssh",
    hint: "something accepts connections but does not speak SSH",
  },
  {
    name: "host key matches",
    deadline: "sshSeconds",
    // A key that is wrong is a fault of its own; no key at all in time is not.
    code: "guest-no-ssh",
    hint: "the guest must take its host key from the seed (ssh_keys) before its SSH server starts",
  },
  {
    name: "login works",
    deadline: "sshSeconds",
    code: "guest-login-refused",
    hint: "the guest must take the key from the seed (ssh_authorized_keys) for the image's login user",
  },
  {
    name: "guest settled",
    deadline: "settledSeconds",
    code: "guest-not-settled",
    hint: "the image must make /run/testbed-settled when its start-up is over; with seed 'cloud-init' its cloud-init must come to its end",
  },
] as const satisfies readonly {
  name: string;
  deadline: keyof Readiness;
  code: FaultCode;
  hint: string;
}[];

type Requirement = (typeof REQUIREMENTS)[number];
export type RequirementName = Requirement["name"];

/** What the boot has come to: each requirement is met once, and what went wrong last is kept for the evidence. */
export class Milestones {
  readonly #met = new Map<RequirementName, PromiseWithResolvers<void>>(
    REQUIREMENTS.map(({ name }) => [name, Promise.withResolvers<void>()]),
  );
  lastError: string | undefined;
  /** What the guest's own refusal is, if it refused: a better word for being late than the requirement's. */
  lastRefusal: FaultCode | undefined;

  /** Marks a requirement as met, and says nothing of those before it. Twice is safe. */
  note(name: RequirementName): void {
    this.#met.get(name)?.resolve();
  }

  /** Marks a requirement, and all before it, as met. Twice is safe. */
  reach(name: RequirementName): void {
    for (const requirement of REQUIREMENTS) {
      this.#met.get(requirement.name)?.resolve();
      if (requirement.name === name) return;
    }
  }

  /** Resolves when the requirement is met. */
  async met(name: RequirementName): Promise<void> {
    await this.#met.get(name)?.promise;
  }
}

export type Wait = {
  readonly machine: Machine;
  readonly readiness: Readiness;
  /** Multiplies the image's deadlines. */
  readonly factor: number;
  readonly milestones: Milestones;
  /** Each requirement gets at least this long, however long ago the machine started. */
  readonly floorMs: number;
  /** Rejects when whatever works towards the milestones gives up. */
  readonly work: Promise<unknown>;
  readonly onRequirement: OnRequirement;
  readonly signal: AbortSignal;
};

const PANIC_EVERY_MS = 400;
const CONSOLE_EVERY_MS = 25;

/**
 * Waits for one requirement after the other. The machine's end and a kernel panic on the console win at once. Throws a
 * `Fault` whose stage is the requirement, or the signal's reason.
 */
export async function awaitReadiness(wait: Wait): Promise<void> {
  const stop = new AbortController();
  const watching = AbortSignal.any([wait.signal, wait.machine.ended, stop.signal]);
  const panicked = watchPanic(wait.machine, watching);
  panicked.catch(() => undefined);
  void watchConsole(wait, watching);
  try {
    for (const requirement of REQUIREMENTS) {
      const startedAtMs = performance.now();
      const elapsed = () => Math.round(performance.now() - startedAtMs);
      wait.onRequirement(requirement.name, "waiting", 0);
      await oneOf(wait, requirement, panicked);
      wait.onRequirement(requirement.name, "met", elapsed());
    }
  } finally {
    stop.abort();
  }
}

async function oneOf(
  wait: Wait,
  requirement: Requirement,
  panicked: Promise<string>,
): Promise<void> {
  const { machine, signal, milestones } = wait;
  const stop = new AbortController();
  const limitMs = Math.max(
    machine.startedAtMs +
      wait.readiness[requirement.deadline] * wait.factor * 1000 -
      performance.now(),
    wait.floorMs,
  );
  const ended = AbortSignal.any([signal, machine.ended]);
  const aborted = pauseUntil(ended, stop.signal);
  const late = pause(limitMs, stop.signal);
  try {
    const outcome = await Promise.race([
      milestones.met(requirement.name).then(() => "met" as const),
      wait.work.then(() => "met" as const).catch((error: unknown) => ({ error })),
      panicked.then((line) => ({ line })),
      aborted.then(() => "ended" as const),
      late.then(() => "late" as const),
    ]);
    signal.throwIfAborted();
    if (machine.ended.aborted) throw await endedWhileBooting(wait, requirement);
    if (outcome === "met") return;
    if (outcome === "late" || outcome === "ended") {
      const seconds = Math.round(wait.readiness[requirement.deadline] * wait.factor);
      const why = `not within ${seconds} s of the machine's start`;
      throw await unmet(wait, requirement, {
        code: milestones.lastRefusal ?? requirement.code,
        why,
      });
    }
    if ("line" in outcome) {
      const why = `the kernel panicked: ${printable(outcome.line, 300)}`;
      throw await unmet(wait, requirement, { code: "image-panicked", why });
    }
    if (outcome.error instanceof Fault && outcome.error.stage === undefined) {
      const { code, message, cause, evidence } = outcome.error;
      throw await unmet(wait, requirement, { code, why: message, cause, evidence });
    }
    throw outcome.error;
  } finally {
    stop.abort();
  }
}

async function unmet(
  wait: Wait,
  requirement: Requirement,
  what: { code: FaultCode; why: string; cause?: unknown; evidence?: Fault["evidence"] },
): Promise<Fault> {
  const hint = what.code === "image-panicked" ? "" : ` (${requirement.hint})`;
  return new Fault(what.code, `${requirement.name}: ${what.why}${hint}`, {
    stage: requirement.name,
    cause: what.cause,
    evidence: { ...(await bootEvidence(wait)), ...what.evidence },
  });
}

/** The same end means another fault while the image boots than while a job runs: then it was the image's doing. */
const WHILE_BOOTING: Partial<Record<FaultCode, FaultCode>> = {
  "guest-powered-off": "image-powered-off",
  "guest-panicked": "image-panicked",
};

async function endedWhileBooting(wait: Wait, requirement: Requirement): Promise<unknown> {
  const reason: unknown = wait.machine.ended.reason;
  if (!(reason instanceof Fault)) return reason;
  return new Fault(WHILE_BOOTING[reason.code] ?? reason.code, reason.message, {
    stage: requirement.name,
    cause: reason,
    evidence: { ...(await bootEvidence(wait)), ...reason.evidence },
  });
}

async function bootEvidence({ machine, milestones }: Wait): Promise<Fault["evidence"]> {
  return {
    ...(await machine.evidence()),
    console: await consoleTail(machine),
    ...(milestones.lastError === undefined
      ? {}
      : { lastError: printable(milestones.lastError, 500) }),
  };
}

/** Resolves with the panic line when the console shows one; never when it does not. */
async function watchPanic(machine: Machine, signal: AbortSignal): Promise<string> {
  while (!signal.aborted) {
    const line = await machine.console.panic().catch(() => undefined);
    if (line !== undefined) return line;
    await pause(PANIC_EVERY_MS, signal);
  }
  return new Promise(() => undefined);
}

async function watchConsole({ machine, milestones }: Wait, signal: AbortSignal): Promise<void> {
  if (!machine.ended.aborted) milestones.reach("domain runs");
  while (!signal.aborted) {
    const size = await machine.console.size().catch(() => 0);
    if (size > 0) return milestones.reach("console speaks");
    await pause(CONSOLE_EVERY_MS, signal);
  }
}

async function pauseUntil(signal: AbortSignal, stop: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const onAbort = () => resolve();
  signal.addEventListener("abort", onAbort, { once: true });
  stop.addEventListener("abort", () => signal.removeEventListener("abort", onAbort), {
    once: true,
  });
  await promise;
}
