import { execFile, execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { RUNNER_SCRIPT, runnerCommand } from "#host/guest/runner.ts";
import { eventually } from "./eventually.ts";
import { scratchFolder } from "./scratch.ts";

const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The userlands that guests have: who is `sh`, and where every other command comes from. */
const USERLANDS = {
  "dash and coreutils": { shell: "/bin/dash", isBusybox: false },
  "bash and coreutils": { shell: "/bin/bash", isBusybox: false },
  "busybox alone": { shell: "/bin/busybox", isBusybox: true },
} as const;

type UserlandName = keyof typeof USERLANDS;

export const USERLAND_NAMES = Object.keys(USERLANDS) as UserlandName[];

type Ran = { stdout: string; stderr: string; code: number };

/** Runs the runner as a guest's SSH server would, in a userland. */
export async function userland(name: UserlandName) {
  const folder = await scratchFolder();
  const { shell, isBusybox } = USERLANDS[name];
  const bin = join(folder.path, "bin");
  const state = join(folder.path, "run");
  const folders = { stateFolder: state, logFolder: join(folder.path, "logs") };
  mkdirSync(bin);
  mkdirSync(state);
  writeFileSync(join(state, "runner"), RUNNER_SCRIPT);
  if (isBusybox) execFileSync(shell, ["--install", "-s", bin]);
  else symlinkSync(shell, join(bin, "sh"));
  const env = { PATH: isBusybox ? bin : `${bin}:${SYSTEM_PATH}`, HOME: folder.path };
  const start = ([file, ...args]: [string, ...string[]], input: string): Promise<Ran> => {
    const { promise, resolve } = Promise.withResolvers<Ran>();
    const options = { env, encoding: "latin1", cwd: folder.path } as const;
    const child = execFile(file, args, options, (error, stdout, stderr) => {
      resolve({ stdout, stderr, code: Number(error?.code ?? 0) });
    });
    child.stdin?.end(input);
    return promise;
  };
  const run = (words: string[], input: string) =>
    start([join(bin, "sh"), "-c", runnerCommand(folders, ...words)], input);
  const step = (number: number, text: string, limits = ["1048576", "0", "0"]) =>
    run(["step", String(number), "0", ...limits, "0", String(text.length)], text);
  /** With a disk of 256 KiB at one of the runner's folders, and something done there before the step is. */
  const stepWithDisk = (at: "logs" | "run", before: string, text: string, timeout = "0") => {
    const words = ["step", "1", "0", "4194304", timeout, "0", "0", String(text.length)];
    const mount = [
      `mkdir -p ${at}`,
      "cp run/runner runner",
      `mount -t tmpfs -o size=256k,mode=755 none ${at}`,
      `cp runner run/runner`,
      before,
      `exec sh ${join(state, "runner")} ${join(folder.path, "logs")} ${words.join(" ")}`,
    ];
    return start(["unshare", "-m", "/bin/sh", "-c", mount.join("; ")], text);
  };
  return {
    folder: folder.path,
    state,
    stepWithDisk,
    start,
    run,
    step,
    [Symbol.asyncDispose]: async () => {
      if (existsSync(state)) endSteps(state);
      await eventually(() => runnersIn(folder.path).length === 0, 10_000);
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Ends what steps left running, which is theirs to do; the runner's own processes have to end by themselves then. */
function endSteps(state: string): void {
  for (const file of readdirSync(state).filter((name) => name.endsWith(".pid"))) {
    const leader = Number(readFileSync(join(state, file), "utf8"));
    // One that never began has no number, and 0 would be this process's own group.
    if (leader <= 1) continue;
    try {
      process.kill(-leader, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** Command lines of processes that have a folder in them. */
export function runnersIn(folder: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return "";
      }
    })
    .filter((line) => line.includes(`${folder}/`));
}
