import { Fault, type FaultCode } from "#job/fault.ts";
import type { Phase } from "#job/phase.ts";
import { Ended } from "#job/verdict.ts";
import type { Machine } from "./ports.ts";

/** What a guest does to itself while it boots is its image's doing, not the job's. */
const WHILE_BOOTING: Partial<Record<FaultCode, FaultCode>> = {
  "guest-panicked": "image-panicked",
  "guest-powered-off": "image-powered-off",
};

/** What a guest whose kernel panicked looks like from outside. */
const EXPLAINED_BY_PANIC: readonly FaultCode[] = [
  "guest-unreachable",
  "guest-sshd-gone",
  "guest-runner-lost",
  "guest-powered-off",
  "guest-panicked",
];

/** What a guest under a QEMU that hangs looks like from outside, running a job or booting. */
const EXPLAINED_BY_HANG: readonly FaultCode[] = [
  "guest-unreachable",
  "guest-no-ssh",
  "guest-not-settled",
  "image-unbootable",
];

const CONSOLE_TAIL_BYTES = 4096;

/**
 * The real reason behind what an attempt threw. A lost connection, say, is only the shadow of a machine that died or a
 * kernel that panicked; and a full host disk shows up as whatever write failed first. A cancel or a deadline stays one.
 */
export async function blame(
  error: unknown,
  phase: Phase,
  machine: Machine | undefined,
): Promise<Error> {
  const ended = Ended.in(error);
  if (ended !== undefined) return ended;
  const isBooting = phase === "booting" || phase === "connecting";
  let fault = isDiskFull(error) ? diskFull(error) : Fault.from(error);
  const end: unknown = machine?.ended.reason;
  if (end instanceof Fault && fault.code !== "host-restarted") fault = end;
  // The console is the guest's word: it explains a guest that fell silent, and nothing that the host did.
  const panic = EXPLAINED_BY_PANIC.includes(fault.code)
    ? await machine?.console.panic().catch(() => undefined)
    : undefined;
  if (panic !== undefined) {
    const message = `the guest's kernel panicked: ${firstLine(panic)}`;
    fault = new Fault("guest-panicked", message, {
      cause: fault,
      evidence: { ...fault.evidence, panic },
    });
  }
  if (EXPLAINED_BY_HANG.includes(fault.code) && (await machine?.isHung()) === true) {
    const message = `the QEMU process of ${machine?.name} hangs: libvirt gets no answer from it either. See what it waits for (cat /proc/PID/wchan): a disk, a signal`;
    fault = new Fault("machine-hung", message, { cause: fault, evidence: fault.evidence });
  }
  const code = (isBooting ? WHILE_BOOTING[fault.code] : undefined) ?? fault.code;
  const evidence = { ...(await machineEvidence(machine)), ...fault.evidence };
  const stage = fault.stage ?? phase;
  return new Fault(code, fault.message, { cause: fault, stage, evidence });
}

async function machineEvidence(machine: Machine | undefined) {
  if (machine === undefined) return {};
  const tail = await machine.console.tail(CONSOLE_TAIL_BYTES).catch(() => Buffer.alloc(0));
  return { ...(await machine.evidence()), console: printable(tail.toString("latin1")) };
}

/** A guest's bytes as text that cannot do anything to a terminal. */
function printable(text: string): string {
  return text.replaceAll("\r", "").replaceAll(/[^\P{Cc}\n\t]/gu, "?");
}

function firstLine(text: string): string {
  return printable(text.split("\n")[0] ?? "").slice(0, 200);
}

function isDiskFull(thrown: unknown): boolean {
  for (let at = thrown, depth = 0; at instanceof Error && depth < 16; at = at.cause, depth += 1) {
    if (at instanceof Fault) return false;
    if (["ENOSPC", "EDQUOT"].includes((at as NodeJS.ErrnoException).code ?? "")) return true;
  }
  return false;
}

function diskFull(error: unknown): Fault {
  const { path } = error as NodeJS.ErrnoException;
  const where = path === undefined ? "" : ` at ${path}`;
  return new Fault(
    "host-disk-full",
    `this host's disk is full${where}. Free some space and run it again`,
    { cause: error },
  );
}
