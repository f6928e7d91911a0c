import { spawn } from "node:child_process";
import { constants } from "node:os";
import { SpawnError } from "./spawn.ts";

/**
 * Runs a program in this process's place: with its terminal, its environment and its signals (Ctrl-C is for the program).
 * Returns the exit status that a shell would give: 128 and the signal's number when a signal ended it. Throws
 * `SpawnError` when there is no such program.
 */
export async function runForeground(file: string, args: readonly string[]): Promise<number> {
  const ignore = () => undefined;
  process.on("SIGINT", ignore);
  try {
    const child = spawn(file, [...args], { stdio: "inherit" });
    return await new Promise<number>((resolve, reject) => {
      child.once("error", (cause: NodeJS.ErrnoException) => {
        const isMissing = cause.code === "ENOENT";
        const message = isMissing ? `${file} is not installed` : `${file}: ${cause.message}`;
        reject(new SpawnError(file, message, { isMissing, cause }));
      });
      child.once("exit", (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  } finally {
    process.off("SIGINT", ignore);
  }
}
