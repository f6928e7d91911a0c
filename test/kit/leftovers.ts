import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { TEST_STATE } from "./house.ts";

const call = promisify(execFile);

/** What the names of all machines of the tests' installation begin with. */
export async function machinePrefix(): Promise<string> {
  const installation = await readFile(join(TEST_STATE, "installation"), "utf8").catch(() => "");
  return `testbed-${installation.slice(0, 8)}-`;
}

/** What the tests' installation has standing on this host: machines in libvirt, folders, QEMU processes. */
export async function leftovers(): Promise<readonly string[]> {
  const prefix = await machinePrefix();
  const [domains, folders, processes] = await Promise.all([
    call("virsh", ["-c", "qemu:///system", "list", "--all", "--name"]),
    readdir(join(TEST_STATE, "machines")).catch(() => []),
    call("ps", ["-eo", "args"]),
  ]);
  return [
    ...domains.stdout.split("\n").filter((name) => name.startsWith(prefix)),
    ...folders,
    ...processes.stdout
      .split("\n")
      .filter((line) => line.startsWith("/usr/bin/qemu") && line.includes(prefix)),
  ];
}

/** Fails when a test left a machine, a folder or a process behind. */
export async function expectNothingLeft(): Promise<void> {
  expect(await leftovers()).toEqual([]);
}
