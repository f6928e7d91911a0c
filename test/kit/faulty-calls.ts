import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Puts a fault into system calls of a running process, all its threads: `fdatasync:error=EIO:when=3` (strace(1), Tampering). Returns
 * once it is in place; disposing takes it away and lets the process go on.
 */
export async function faultyCalls(process: ChildProcess, fault: string): Promise<AsyncDisposable> {
  const call = fault.slice(0, fault.indexOf(":"));
  const what = ["-e", `trace=${call}`, "-e", `inject=${fault}`];
  const args = ["-f", "-o", "/dev/null", "-p", String(process.pid), ...what];
  const strace = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(strace, "exit");
  let said = "";
  const attached = new Promise<void>((done) => {
    strace.stderr.on("data", (piece: Buffer) => {
      said += piece.toString();
      if (said.includes("attached")) done();
    });
  });
  const failed = ended.then(() => {
    throw new Error(`strace: ${said}`);
  });
  failed.catch(() => undefined);
  await Promise.race([attached, failed]);
  return {
    async [Symbol.asyncDispose]() {
      strace.kill("SIGINT");
      await ended;
    },
  };
}
