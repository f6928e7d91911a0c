import { readFileSync } from "node:fs";
import { Fault } from "#job/fault.ts";
import { printable } from "#lib/printable.ts";
import type { SshConnection } from "./connection.ts";
import type { GuestOptions } from "./guest-options.ts";
import { quote } from "./quote.ts";

/** The runner: one script in the guest. Its parts stand in the order in which a shell comes to need them. */
export const RUNNER_SCRIPT: Buffer = Buffer.concat(
  ["begin.sh", "step.sh", "follow.sh", "collect.sh"].map((part) =>
    readFileSync(new URL(part, import.meta.url)),
  ),
);

const BOOT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The shell command that runs the runner in the guest with a command of it. */
export function runnerCommand(
  options: Pick<GuestOptions, "stateFolder" | "logFolder">,
  ...words: readonly string[]
): string {
  const command = ["sh", `${options.stateFolder}/runner`, options.logFolder, ...words].map(quote);
  // busybox's sh ignores SIGQUIT itself, and lets a last command that it runs in its own place inherit that unless told so.
  return ["exec", ...command].join(" ");
}

/**
 * Puts the runner into the guest, waits until `settledFile` exists there and returns the id of this boot of it; one
 * command for all three. Throws guest-not-settled when the guest has not what the runner needs, `ConnectionLost`, or the signal's reason.
 */
export async function installRunner(
  connection: SshConnection,
  options: GuestOptions,
  settledFile: string,
  signal: AbortSignal,
): Promise<string> {
  const folder = quote(options.stateFolder);
  // Whole or not at all where steps may run under an older one; the first time two processes less, 20 ms where emulated.
  const install = [
    `umask 077; if [ -e ${folder}/runner ]`,
    `then cat >${folder}/runner.$$ && mv ${folder}/runner.$$ ${folder}/runner`,
    `else { [ -d ${folder} ] || mkdir -p ${folder}; } && cat >${folder}/runner; fi`,
  ].join("; ");
  const settle = runnerCommand(options, "settle", settledFile);
  const answer = await connection.ask(`${install} && ${settle}`, RUNNER_SCRIPT, signal);
  const bootId = answer.stdout.trim();
  if (BOOT_ID.test(bootId)) return bootId;
  throw new Fault("guest-not-settled", "the guest could not take testbed's runner", {
    evidence: {
      exitCode: answer.exitCode ?? "none",
      said: printable(answer.stderr.slice(-1000), 1000),
    },
  });
}
