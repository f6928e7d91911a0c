import { execFile } from "node:child_process";
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { command, PATH } from "#test/kit/command.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const call = promisify(execFile);

/** Puts something where the state folder should be. */
type Wrong = (path: string) => Promise<unknown>;

/** Unmounted at the test's end. */
async function mounted(path: string, options: string): Promise<void> {
  await mkdir(path);
  await call("mount", ["-t", "tmpfs", "-o", options, "testbed-test", path]);
  onTestFinished(async () => {
    await call("umount", [path]);
  });
}

const WRONG: Readonly<Record<string, { readonly lay: Wrong; readonly says: RegExp }>> = {
  "a file": { lay: (path) => writeFile(path, "not a folder\n"), says: /ENOTDIR/ },
  "a link to nothing": { lay: (path) => symlink("/nowhere/at/all", path), says: /ENOENT/ },
  "a link to itself": { lay: (path) => symlink(path, path), says: /ELOOP/ },
  "read-only": { lay: (path) => mounted(path, "ro,size=1m"), says: /EROFS/ },
  "without an inode left": { lay: (path) => mounted(path, "nr_inodes=1"), says: /ENOSPC/ },
};

test.for(Object.keys(WRONG))(
  "a daemon whose state folder is %s does not start, and says so in one line",
  async (name) => {
    const scratch = await scratchFolder();
    onTestFinished(() => scratch[Symbol.asyncDispose]());
    const state = join(scratch.path, "state");
    await WRONG[name]?.lay(state);
    const config = join(scratch.path, "daemon.yaml");
    await writeFile(config, `host: lab-1\nstate: ${state}\n`);
    const ran = await command(join(ROOT, "bin/testbed"), ["daemon", "--config", config], {
      env: { PATH, HOME: "/root", NO_COLOR: "1" },
    });
    expect(ran.exitCode).toBe(3);
    const lines = ran.stderr.trimEnd().split("\n").slice(1);
    expect(lines).toEqual([expect.stringMatching(WRONG[name]?.says ?? "")]);
    expect(lines[0]).toContain(`the state folder ${state} cannot be used: `);
    expect((await readdir(scratch.path)).sort()).toEqual(["daemon.yaml", "state"]);
  },
);
