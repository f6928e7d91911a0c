import { execFile } from "node:child_process";

/** How a command ended; nothing is thrown for a bad exit status. */
export type CommandEnd = {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly tookMs: number;
};

export type CommandOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
};

const TIMEOUT_MS = 50_000;

/** Where the tests find programs. */
export const PATH = process.env["PATH"] ?? "/usr/bin:/bin";

/** Runs a program to its end; one that takes too long is killed and has exit status -1. `env` is all that it gets. */
export async function command(
  file: string,
  args: readonly string[],
  { env, timeoutMs = TIMEOUT_MS }: CommandOptions = {},
): Promise<CommandEnd> {
  const begunMs = performance.now();
  const { promise, resolve } = Promise.withResolvers<CommandEnd>();
  execFile(
    file,
    [...args],
    { env: env ?? { PATH }, timeout: timeoutMs, killSignal: "SIGKILL" },
    (error, stdout, stderr) => {
      const { code } = error ?? { code: 0 };
      const exitCode = typeof code === "number" ? code : -1;
      resolve({ exitCode, stdout, stderr, tookMs: performance.now() - begunMs });
    },
  );
  return await promise;
}
