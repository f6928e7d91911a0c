import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { TEST_STATE } from "./house.ts";

const call = promisify(execFile);

/** What the names of all machines of an installation begin with; by default of the tests' own. */
export async function machinePrefix(state = TEST_STATE): Promise<string> {
  const installation = await readFile(join(state, "installation"), "utf8").catch(() => "");
  return `testbed-${installation.slice(0, 8)}-`;
}

/** Where libvirt keeps firmware variables of which nobody said where else. */
const NVRAM = "/var/lib/libvirt/qemu/nvram";

/** What an installation has standing on this host: machines in libvirt, firmware variables, folders, QEMU processes. */
export async function leftovers(
  state = TEST_STATE,
  libvirt = "qemu:///system",
): Promise<readonly string[]> {
  const folders = await readdir(join(state, "machines")).catch(() => []);
  return [...folders, ...(await machinesLeft(await machinePrefix(state), libvirt))];
}

/** The same of an installation whose state folder is gone, but for folders. */
export async function machinesLeft(
  prefix: string,
  libvirt = "qemu:///system",
): Promise<readonly string[]> {
  const [domains, variables, processes] = await Promise.all([
    call("virsh", ["-c", libvirt, "list", "--all", "--name"]),
    readdir(NVRAM).catch(() => []),
    call("ps", ["-eo", "args"]),
  ]);
  return [
    ...domains.stdout.split("\n").filter((name) => name.startsWith(prefix)),
    ...variables.filter((name) => name.startsWith(prefix)),
    ...processes.stdout
      .split("\n")
      .filter((line) => line.startsWith("/usr/bin/qemu") && line.includes(prefix)),
  ];
}

/** Fails when a test left a machine, a folder or a process behind. */
export async function expectNothingLeft(
  state = TEST_STATE,
  libvirt = "qemu:///system",
): Promise<void> {
  expect(await leftovers(state, libvirt)).toEqual([]);
}
