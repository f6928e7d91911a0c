import { readdir, readFile, readlink } from "node:fs/promises";
import { eventually } from "./eventually.ts";

const END_MS = 10_000;

/** The processes of this host whose command line says all of these words, by their numbers. */
export async function processesOf(...words: readonly string[]): Promise<readonly number[]> {
  const found: number[] = [];
  for (const pid of await numbers()) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (words.every((word) => command.includes(word))) found.push(pid);
  }
  return found;
}

/** The QEMU of a machine; fails when there is not exactly one. */
export async function qemuOf(machine: string): Promise<number> {
  const [pid, ...more] = await processesOf("qemu-system", `guest=${machine}`);
  if (pid === undefined || more.length > 0)
    throw new Error(`${machine} has ${more.length + (pid === undefined ? 0 : 1)} QEMU processes`);
  return pid;
}

/** The command lines of a process's children. */
export async function childrenOf(parent: number): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await numbers()) {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    // The name in brackets may hold anything, brackets too.
    if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) !== parent) continue;
    found.push(
      (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " "),
    );
  }
  return found;
}

/** What a process has open: a path or a word of the kernel's for each descriptor. */
export async function openBy(pid: number): Promise<readonly string[]> {
  const names = await readdir(`/proc/${pid}/fd`);
  const links = names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => ""));
  return (await Promise.all(links)).filter((link) => link !== "");
}

/** Ends everything that uses files below a folder, or names it on its command line; it is really over when this returns. */
export async function endAllOf(folder: string): Promise<void> {
  const uses = async (pid: number) => {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
    const open = await openBy(pid).catch(() => []);
    return pid !== process.pid && [command, cwd, ...open].some((word) => word.includes(folder));
  };
  const left = async () => {
    const pids = await numbers();
    const all = await Promise.all(pids.map(async (pid) => ((await uses(pid)) ? [pid] : [])));
    return all.flat();
  };
  await eventually(async () => {
    const pids = await left();
    for (const pid of pids) kill(pid);
    return pids.length === 0;
  }, END_MS);
}

/** One that is over by now is as good as killed. */
function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function numbers(): Promise<readonly number[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
}
