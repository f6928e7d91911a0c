import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/**
 * From now on calls of a running process go wrong as strace(1) can make them, `fdatasync:error=EIO` say; until it is disposed, or the
 * process is over.
 */
export async function syscallFaults(pid: number, injection: string): Promise<AsyncDisposable> {
  const [call = ""] = injection.split(":");
  const args = ["-f", "-p", String(pid), "-e", `trace=${call}`, "-e", `inject=${injection}`];
  const child = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  const lines = createInterface({ input: child.stderr });
  // It says so when all threads are held; a process cannot be seen from outside to be traced in full.
  const [first] = (await once(lines, "line")) as [string];
  if (!first.includes("attached")) throw new Error(`strace: ${first}`);
  return {
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const over = once(child, "exit");
      child.kill("SIGINT");
      await over;
    },
  };
}
