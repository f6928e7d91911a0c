import { execFile } from "node:child_process";
import { promisify } from "node:util";

const TIMEOUT_MS = 30_000;

/** Runs a program to its end and returns its standard output; throws with what it complained of. */
export async function call(file: string, args: readonly string[]): Promise<string> {
  const options = { timeout: TIMEOUT_MS, killSignal: "SIGKILL", maxBuffer: 2 ** 26 } as const;
  return (await promisify(execFile)(file, [...args], options)).stdout;
}
