import { constants } from "node:fs";
import { access, readFile, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { groupsOf, unreachableParent } from "#lib/path-reach.ts";
import { type Finding, ok, problem, quoted, warning } from "./finding.ts";
import type { HostView } from "./host-view.ts";

/** A machine is refused below the first; below the second a larger image does not build. */
const DISK_MIB = { problem: 256, warning: 5 * 1024 } as const;

/** The smallest machine and QEMU's own need; and room for one of the size that jobs usually ask for. */
const MEMORY_MIB = { problem: 512, warning: 2 * 1024 } as const;

/** Whether we can write the state folder and QEMU's user can pass through it. */
export async function checkStateFolder(view: HostView): Promise<Finding> {
  const { stateFolder } = view;
  const there = await nearest(stateFolder);
  const elsewhere = "or set TESTBED_STATE to another folder";
  if (!(await isWritable(there)))
    return problem(`${there} is not writable for this user; use sudo, ${elsewhere}`, "sudo -s");
  const closed = await closedTo(view, there);
  if (closed !== undefined)
    return problem(
      `QEMU's user cannot pass through ${closed} to ${stateFolder}; open it, ${elsewhere}`,
      `chmod o+x ${quoted(closed)}`,
    );
  return ok(there === stateFolder ? stateFolder : `${stateFolder} (made at first use)`);
}

/** Free space below the state folder. */
export async function checkDisk({ stateFolder }: HostView): Promise<Finding> {
  const { bavail, bsize } = await statfs(await nearest(stateFolder));
  return room(Math.floor((bavail * bsize) / 2 ** 20), DISK_MIB, {
    of: `of disk at ${stateFolder}`,
    mend: `df -h ${quoted(await nearest(stateFolder))}`,
  });
}

/** Memory that a machine could have now, see proc_meminfo(5). */
export async function checkMemory({ procFolder }: HostView): Promise<Finding> {
  const text = await readFile(join(procFolder, "meminfo"), "utf8");
  const [, kib] = /^MemAvailable:\s+(\d+) kB$/m.exec(text) ?? [];
  if (kib === undefined) return warning(`${procFolder}/meminfo says nothing of MemAvailable`);
  return room(Math.floor(Number(kib) / 1024), MEMORY_MIB, {
    of: "of memory",
    mend: "ps aux --sort=-rss | head",
  });
}

function room(
  freeMiB: number,
  limits: { readonly problem: number; readonly warning: number },
  { of, mend }: { of: string; mend: string },
): Finding {
  const found = `${freeMiB < 4096 ? `${freeMiB} MiB` : `${Math.floor(freeMiB / 1024)} GiB`} ${of} free`;
  if (freeMiB < limits.problem) return problem(`${found}, too little for any machine`, mend);
  if (freeMiB < limits.warning) return warning(`${found}, enough for small machines only`, mend);
  return ok(found);
}

/** The folder that exists at or above `path`. */
async function nearest(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() || dirname(path) === path ? path : await nearest(dirname(path));
}

async function isWritable(folder: string): Promise<boolean> {
  return await access(folder, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function closedTo(view: HostView, folder: string): Promise<string | undefined> {
  const user = await view.libvirt().then(
    ({ qemuUser }) => qemuUser,
    () => undefined,
  );
  if (user === undefined) return undefined;
  const groups = [user.gid, ...(await groupsOf(user.uid))];
  return await unreachableParent(join(folder, "machines"), user.uid, groups);
}
