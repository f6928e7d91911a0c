import { spawn } from "node:child_process";

/** So many processes that take all the processor time they get, until disposed. */
export function busyLoops(count: number): Disposable {
  const loop = "for (;;);";
  const children = Array.from({ length: count }, () =>
    spawn(process.execPath, ["-e", loop], { stdio: "ignore" }),
  );
  return {
    [Symbol.dispose]() {
      for (const child of children) child.kill("SIGKILL");
    },
  };
}
