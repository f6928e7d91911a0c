import { connect } from "node:net";
import { dirname } from "node:path";
import { type Finding, ok, problem, quoted, warning } from "./finding.ts";
import type { HostView } from "./host-view.ts";

/** libvirt answers in milliseconds; seconds mean that it asks every QEMU anew what it can do. */
const SLOW_MS = 3_000;

/** Whether libvirt's socket takes this user, and if not, what to do: each way of failing has its own cure. */
export async function checkSocket(view: HostView, signal: AbortSignal): Promise<Finding> {
  const failures: NodeJS.ErrnoException[] = [];
  for (const path of view.libvirtSockets) {
    const failure = await knock(path, signal);
    if (failure === undefined) return ok(path);
    failures.push(failure);
  }
  const worst = failures.find(({ code }) => code !== "ENOENT") ?? failures[0];
  const where = view.libvirtSockets.join(" or ");
  if (worst?.code === "EACCES")
    return problem(`this user may not use libvirt's socket (${where})`, "sudo -s");
  if (worst?.code === "ECONNREFUSED")
    return problem(`a socket is there, but no libvirt behind it (${where})`, startCommand(view));
  return problem(`no libvirt runs here (looked for ${where})`, startCommand(view));
}

/** Whether libvirt answers, and how fast. */
export async function checkAnswer(view: HostView): Promise<Finding> {
  const answer = await view.libvirt().catch((error: Error) => error);
  if (answer instanceof Error)
    return problem(
      `does not answer: ${answer.message}`,
      view.userId === 0 ? startCommand(view, { again: true }) : "sudo -s",
    );
  const { libvirtVersion, tookMs } = answer;
  const found = `version ${libvirtVersion}, answered in ${Math.round(tookMs)} ms`;
  if (tookMs < SLOW_MS) return ok(found);
  return warning(
    `${found}: it asks QEMU anew each time when the KVM device is closed to QEMU's user`,
    "chgrp kvm /dev/kvm; chmod 660 /dev/kvm",
  );
}

/** virtlogd keeps consoles within limits; libvirt starts no machine without it. */
export async function checkVirtlogd(view: HostView, signal: AbortSignal): Promise<Finding> {
  const failure = await knock(view.virtlogdSocket, signal);
  if (failure === undefined) return ok(view.virtlogdSocket);
  // Its socket is for libvirtd alone, so to an ordinary user a closed door is a good sign.
  if (failure.code === "EACCES") return ok(`${view.virtlogdSocket} (only root may use it)`);
  return problem(
    `no virtlogd listens on ${view.virtlogdSocket}`,
    startCommand(view, { unit: "virtlogd" }),
  );
}

/** Whether libvirt has the emulator for our machines. */
export async function checkQemu(view: HostView): Promise<Finding> {
  const answer = await view.libvirt().catch(() => undefined);
  if (answer === undefined) return warning("not known while libvirt does not answer");
  try {
    return ok(`version ${answer.qemuVersion}, ${await view.emulator()}`);
  } catch (error) {
    return problem(
      `libvirt has no emulator for our machines: ${(error as Error).message}`,
      `${quoted(`${view.setupFolder}/packages`)} run`,
    );
  }
}

function startCommand(
  { hasSystemd, setupFolder }: HostView,
  { unit = "libvirtd", again = false } = {},
): string {
  if (hasSystemd) return `systemctl ${again ? "restart" : "start"} ${unit}`;
  const script = quoted(`${setupFolder}/libvirt`);
  return again ? `${script} stop; ${script} start` : `${script} start`;
}

/** Opens a socket and closes it again. Returns why it could not. */
async function knock(
  path: string,
  signal: AbortSignal,
): Promise<NodeJS.ErrnoException | undefined> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | undefined>();
  const socket = connect(path);
  socket.once("connect", () => resolve(undefined));
  socket.once("error", resolve);
  const onAbort = () => resolve(new Error(`${dirname(path)} does not answer`));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    socket.destroy();
  }
}
