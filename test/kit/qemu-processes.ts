import { readdir, readFile } from "node:fs/promises";

/** Sends a signal to the QEMU processes of the machines whose names begin so; there must be one at least. */
export async function signalQemu(name: string, signal: NodeJS.Signals): Promise<void> {
  const pids = await qemuPids(name);
  if (pids.length === 0) throw new Error(`no QEMU process of ${name}`);
  for (const pid of pids) process.kill(pid, signal);
}

/** QEMU processes of machines whose names begin so. */
export async function qemuPids(name: string): Promise<readonly number[]> {
  const pids = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry));
  const ours = await Promise.all(
    pids.map(async (pid) => {
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      // As libvirt names it: `-name guest=NAME,debug-threads=on`.
      return command.includes("qemu-system") && command.includes(`guest=${name}`)
        ? [Number(pid)]
        : [];
    }),
  );
  return ours.flat();
}
