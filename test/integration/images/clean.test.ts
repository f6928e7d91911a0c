import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { run } from "#lib/spawn.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const APPLETS = ["sh", "id", "rm", "find", "rmdir", "touch", "sync"];

const GONE = [
  "/etc/hostname",
  "/etc/ssh/ssh_host_ed25519_key",
  "/etc/ssh/ssh_host_ed25519_key.pub",
  "/etc/dropbear/host_key",
  "/root/.ssh/authorized_keys",
  "/home/tester/.ssh/authorized_keys",
  "/root/.bash_history",
  "/home/tester/.ash_history",
  "/var/lib/dbus/machine-id",
  "/var/lib/systemd/random-seed",
  "/var/lib/cloud/instance/user-data.txt",
  "/var/lib/dhcp/dhclient.eth0.leases",
  "/var/lib/apt/lists/mirror_Packages",
  "/var/log/journal/0123/system.journal",
  "/var/log/syslog.1",
  "/var/log/apt/history.log.2.gz",
  "/tmp/.hidden",
  "/var/tmp/testbed/1",
  "/var/tmp/testbed-debs/tcc.deb",
];
const EMPTY = ["/etc/machine-id", "/var/log/syslog", "/var/log/apt/history.log"];
const KEPT = [
  "/etc/ssh/sshd_config",
  "/root/.ssh/config",
  "/root/.profile",
  "/var/lib/dpkg/status",
];

/** A root with busybox, on which a machine has lived; every file has a word in it. */
async function livedInRoot() {
  const scratch = await scratchFolder();
  const root = join(scratch.path, "root");
  const put = async (path: string) => {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await writeFile(join(root, path), "lived");
  };
  await mkdir(join(root, "bin"), { recursive: true });
  const busybox = (await run("sh", ["-c", "command -v busybox"], { timeoutMs: 5_000 })).trim();
  await copyFile(busybox, join(root, "bin/busybox"));
  await chmod(join(root, "bin/busybox"), 0o755);
  for (const applet of APPLETS) await symlink("busybox", join(root, "bin", applet));
  for (const path of [...GONE, ...EMPTY, ...KEPT]) await put(path);
  return {
    root,
    /** Runs the clean-up within the root, from a path of it. */
    clean: async (path: string) => {
      await mkdir(join(root, dirname(path)), { recursive: true });
      await copyFile(join(ROOT, "src/host/images/build/clean.sh"), join(root, path));
      return await run("chroot", [root, "/bin/sh", path], { timeoutMs: 30_000 });
    },
    read: (path: string) => readFile(join(root, path), "utf8").catch(() => undefined),
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
}

describe("the clean-up of a machine that becomes an image", () => {
  test("leaves nothing that tells machines apart, and what else there is", async () => {
    await using lived = await livedInRoot();
    await lived.clean("/run/testbed/3.run");
    for (const path of GONE) expect(await lived.read(path), path).toBeUndefined();
    for (const path of EMPTY) expect(await lived.read(path), path).toBe("");
    for (const path of KEPT) expect(await lived.read(path), path).toBe("lived");
    // A second time there is less to do.
    await lived.clean("/run/testbed/3.run");
  });

  test("does nothing where testbed's runner has not put it", async () => {
    await using lived = await livedInRoot();
    await expect(lived.clean("/root/clean.sh")).rejects.toThrow("a machine of testbed's");
    for (const path of [...GONE, ...EMPTY, ...KEPT])
      expect(await lived.read(path), path).toBe("lived");
  });
});
