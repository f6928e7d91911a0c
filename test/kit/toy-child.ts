import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { ROOT } from "./house.ts";

/** A process that can be killed. */
export type ToyChild = AsyncDisposable & {
  readonly child: ChildProcess;
  /** Its first line on standard output that begins so; fails when the process ends before. */
  says(beginning: string): Promise<string>;
  /** kill -9, and it is gone when this returns. */
  kill(): Promise<void>;
  /** What it came to: exit status, or undefined when a signal ended it. */
  readonly ended: Promise<number | undefined>;
};

/**
 * Runs a program of a test as a process of its own: TypeScript's syntax but types, `at("src/…")` in its text stands for a module of
 * the checkout, `args` are its `process.argv.slice(1)`. Killed when it is disposed.
 */
export function toyChild(program: string, args: readonly string[]): ToyChild {
  const text = program.replaceAll(/at\("([^"]+)"\)/g, (_, path: string) =>
    JSON.stringify(join(ROOT, path)),
  );
  const child = spawn(process.execPath, ["--input-type=module", "-e", text, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout?.on("data", (piece: Buffer) => {
    said += piece.toString();
  });
  const ended = once(child, "exit").then(([code]) => (code as number | null) ?? undefined);
  const lineOf = (beginning: string) =>
    said
      .split("\n")
      .slice(0, -1)
      .find((line) => line.startsWith(beginning));
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  return {
    child,
    ended,
    kill,
    async says(beginning) {
      for (;;) {
        const line = lineOf(beginning);
        if (line !== undefined) return line;
        if (child.exitCode !== null)
          throw new Error(`it ended without saying '${beginning}': ${said}`);
        await Promise.race([once(child.stdout as NodeJS.ReadableStream, "data"), ended]);
      }
    },
    [Symbol.asyncDispose]: kill,
  };
}
