import { once } from "node:events";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { run } from "#lib/spawn.ts";
import { Child } from "./child.ts";
import type { Server } from "./server.ts";

/** Paths of one program's standard input and output; nothing by default. */
export type Redirect = { readonly input?: string; readonly output?: string };

/** Runs a program with files for its streams. Throws when it fails; the signal ends it. */
export async function runProgram(
  [file, ...args]: readonly [string, ...string[]],
  { input, output }: Redirect,
  signal: AbortSignal,
): Promise<void> {
  await using stdin = await open(input ?? "/dev/null", "r");
  await using stdout = await open(output ?? "/dev/null", "w");
  await using child = new Child(file, args, { stdio: [stdin.fd, stdout.fd, "inherit"], signal });
  const code = await child.ended;
  signal.throwIfAborted();
  if (code !== 0) throw new Error(`${file} ${args.join(" ")} ended with exit status ${code}`);
}

/** `ssh server COMMAND`: a new connection. */
export function ssh(server: Server, command: string): readonly [string, ...string[]] {
  return ["ssh", "-F", server.sshConfig, "server", command];
}

/** Opens a control master that lives as long as the scope, and returns how to run commands through it. */
export async function openControlMaster(
  server: Server,
  scope: AsyncDisposableStack,
): Promise<(command: string) => readonly [string, ...string[]]> {
  const path = join(server.scratch, "control");
  const common = ["-F", server.sshConfig, "-o", `ControlPath=${path}`] as const;
  const master = scope.use(
    new Child("ssh", [...common, "-M", "-T", "server", "echo ready; exec cat"], {
      detached: true,
      stdio: ["pipe", "pipe", "inherit"],
    }),
  );
  const { stdout } = master.process;
  if (stdout === null) throw new Error("no stream from ssh");
  await Promise.race([once(stdout, "data"), master.ended]);
  return (command) => ["ssh", ...common, "server", command];
}

/** What `ssh -V` says of itself. */
export async function opensshVersion(signal: AbortSignal): Promise<string> {
  let version = "";
  // It prints on standard error.
  await run("ssh", ["-V"], { timeoutMs: 5000, signal, onOutput: (text) => (version += text) });
  return version.split(",", 1)[0]?.trim() ?? "";
}
