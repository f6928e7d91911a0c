import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "#job/fault.ts";
import { writeAtomically } from "#lib/atomic-file.ts";
import { FileLock } from "#lib/file-lock.ts";
import { bootId } from "#lib/host-boot.ts";
import { admit } from "./admission.ts";
import type { Listener } from "./attempt.ts";
import { resolveHeld } from "./held-image.ts";
import { MACHINE_FILES } from "./machine-record.ts";
import type { Acceleration, House } from "./ports.ts";
import { STATE_NAMES } from "./state-folder.ts";

/** The smallest image: what the probe boots. */
const PROBE_IMAGE = "micro";

/** A working KVM shows the kernel's first words within a second or two; one that hangs never does. */
const PROBE_MS = 15_000;
const LOOK_AGAIN_MS = 50;

/** A probe whose process was killed leaves no machine behind for longer. */
const PROBE_CURFEW_SECONDS = 120;

/** What was found, for one boot of the host (its boot id changes with each, random(4)). */
type Finding = { readonly boot: string; readonly acceleration: Acceleration; readonly why: string };

/**
 * Settles `auto`. A host can list KVM and still hang every guest, so nothing is believed: the smallest image is booted
 * under KVM once per boot of the host, and the answer is remembered. Asking for `kvm` is checked the same way.
 * Throws acceleration-unavailable when `kvm` was asked for and does not work.
 */
export async function settleAcceleration(
  house: House,
  wanted: Acceleration | "auto",
  listener: Pick<Listener, "progress">,
  signal: AbortSignal,
): Promise<Acceleration> {
  if (wanted === "tcg") return "tcg";
  const { acceleration, why } = (await readFinding(house)) ?? (await find(house, listener, signal));
  if (wanted === "kvm" && acceleration !== "kvm") {
    throw new Fault(
      "acceleration-unavailable",
      `KVM was asked for, but ${why}. Try acceleration auto or tcg`,
    );
  }
  return acceleration;
}

async function find(
  house: House,
  listener: Pick<Listener, "progress">,
  signal: AbortSignal,
): Promise<Finding> {
  using _ = await FileLock.take(join(house.state.path, STATE_NAMES.probeLock), signal);
  const known = await readFinding(house);
  if (known !== undefined) return known;
  const boot = await bootId();
  const finding: Finding = (await house.hypervisor.offersKvm(signal))
    ? { boot, ...(await probe(house, listener, signal)) }
    : { boot, acceleration: "tcg", why: "libvirt offers no KVM on this host" };
  await writeAtomically(findingPath(house), `${JSON.stringify(finding, null, 2)}\n`);
  listener.progress(`acceleration is ${finding.acceleration}: ${finding.why}`);
  return finding;
}

async function probe(
  house: House,
  listener: Pick<Listener, "progress">,
  signal: AbortSignal,
): Promise<Omit<Finding, "boot">> {
  listener.progress("trying KVM with a small machine, once for this boot of the host");
  const { state, hypervisor } = house;
  const { images } = house;
  await using scope = new AsyncDisposableStack();
  const progress = (line: string) => listener.progress(line);
  const image = await resolveHeld({ images, scope }, PROBE_IMAGE, progress, signal);
  const identity = {
    installation: state.installation,
    job: `probe-${process.pid}`,
    attempt: Date.now(),
  };
  const need = { identity, memoryMiB: image.memoryMiBMin };
  await using place = await admit({ state, hypervisor }, need, progress, signal);
  const { folder, record } = place;
  const { name, slot } = record;
  const diskPath = join(folder, MACHINE_FILES.disk);
  const { seedPath } = await house.guests.prepare(
    { folder, identity, name, image, curfewSeconds: PROBE_CURFEW_SECONDS },
    signal,
  );
  await images.overlay(image, diskPath, undefined, signal);
  const size = { cpus: 1, memoryMiB: image.memoryMiBMin, acceleration: "kvm" } as const;
  try {
    await using machine = await hypervisor.boot(
      { identity, name, folder, slot, image, diskPath, seedPath, ...size },
      signal,
    );
    const endMs = performance.now() + PROBE_MS;
    while (performance.now() < endMs && !machine.ended.aborted) {
      if ((await machine.console.size()) > 0)
        return { acceleration: "kvm", why: "a small machine booted under KVM" };
      await delay(LOOK_AGAIN_MS, undefined, { signal });
    }
  } catch (error) {
    const fault = Fault.from(error);
    // Only QEMU's own refusal says something of KVM; what else is wrong here will be mended, and then KVM may well work.
    if (signal.aborted || fault.code !== "machine-refused") throw error;
    return { acceleration: "tcg", why: `KVM does not start machines here: ${fault.message}` };
  }
  return {
    acceleration: "tcg",
    why: `a small machine under KVM said nothing within ${PROBE_MS / 1000} s`,
  };
}

/** What the probe found since this host booted, if it ran. */
export async function readFinding({ state }: Pick<House, "state">): Promise<Finding | undefined> {
  const text = await readFile(join(state.path, STATE_NAMES.acceleration), "utf8").catch(
    () => undefined,
  );
  if (text === undefined) return undefined;
  const finding = parsed(text);
  return finding?.boot === (await bootId()) ? finding : undefined;
}

/** A file that is damaged counts as none: the probe runs again and writes a new one. */
function parsed(text: string): Finding | undefined {
  try {
    const { boot, acceleration, why } = JSON.parse(text) as Record<string, unknown>;
    if (typeof boot !== "string" || typeof why !== "string") return undefined;
    return acceleration === "kvm" || acceleration === "tcg"
      ? { boot, acceleration, why }
      : undefined;
  } catch {
    return undefined;
  }
}

function findingPath({ state }: House): string {
  return join(state.path, STATE_NAMES.acceleration);
}
