import { Fault } from "#job/fault.ts";
import { printable } from "#lib/printable.ts";
import type { GuestLink } from "./guest-link.ts";

/**
 * As root, or as somebody whom sudo asks nothing: what is inherited of PATH may lack the folders of both programs. It answers before
 * the guest's shutdown has come to SSH.
 */
const COMMAND = [
  "PATH=$PATH:/usr/sbin:/sbin",
  'if [ "$(id -u)" = 0 ]; then exec poweroff; else exec sudo -n poweroff; fi',
].join("; ");

/** `Guest.powerOff`: see there. */
export async function powerOff(link: GuestLink, signal: AbortSignal): Promise<void> {
  const answer = await link.use((connection, use) => connection.ask(COMMAND, "", use), signal);
  if (answer.exitCode === 0 || answer.exitCode === undefined) return;
  throw new Fault("image-build-failed", "the guest does not power itself off", {
    stage: "power off",
    evidence: {
      exitCode: answer.exitCode,
      said: printable(answer.stderr.slice(-1000), 1000),
    },
  });
}
