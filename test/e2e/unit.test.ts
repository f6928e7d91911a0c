import { chmod, chown, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { command, PATH } from "#test/kit/command.ts";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT, TEST_STATE } from "#test/kit/house.ts";
import { expectNothingLeft } from "#test/kit/leftovers.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { startSupervised } from "#test/kit/supervised.ts";
import { startTestbed, testEnvironment } from "#test/kit/testbed.ts";
import { UnitFile } from "#test/kit/unit-file.ts";

/** A number that no user of this machine has; what the unit's user may do it may by groups and capabilities alone. */
const USER = 64_997;
const STATE = `${TEST_STATE}-unit`;
const LIBVIRT = "/run/libvirt/libvirt-sock";

/** libvirt's socket as group libvirt sees it on a host with systemd: where we started it by hand, it is root's alone. */
async function libvirtForGroup(path: string, gid: number): Promise<void> {
  const server = createServer((client) => {
    const libvirt = connect(LIBVIRT);
    client.on("error", () => libvirt.destroy()).pipe(libvirt);
    libvirt.on("error", () => client.destroy()).pipe(client);
  });
  await new Promise<void>((done) => server.listen(path, done));
  onTestFinished(() => void server.close());
  await chown(path, 0, gid);
  await chmod(path, 0o770);
}

/** A state folder as tmpfiles.d makes it, with images that root built. The installation stays, and so do its networks. */
async function freshState(): Promise<void> {
  await mkdir(STATE, { recursive: true });
  for (const name of ["service", "images"])
    await rm(join(STATE, name), { recursive: true, force: true });
  await symlink(join(TEST_STATE, "images"), join(STATE, "images"));
  await chown(STATE, USER, USER);
  await chmod(STATE, 0o711);
}

async function root(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await startTestbed(args).done;
  expect(exitCode, stderr).toBe(0);
  return stdout;
}

test("an installed daemon with the unit's user, groups, capabilities and umask runs a job in a machine", async () => {
  await using scratch = await scratchFolder();
  const { path: folder } = scratch;
  await chmod(folder, 0o711);
  await root("image", "build", "micro");
  const dest = join(folder, "dest");
  const installed = await command("sh", [join(ROOT, "setup/install-host")], {
    env: { PATH, HOME: folder, DESTDIR: dest, npm_config_offline: "true" },
  });
  expect(installed.exitCode, installed.stderr).toBe(0);
  const gid = Number((await command("getent", ["group", "libvirt"])).stdout.split(":")[2]);
  const libvirt = join(folder, "libvirt");
  await libvirtForGroup(libvirt, gid);
  await freshState();

  const settings = join(folder, "daemon.yaml");
  await writeFile(join(folder, "service.yaml"), "listen: []\n");
  await writeFile(
    settings,
    JSON.stringify({
      host: "unit",
      serviceConfig: join(folder, "service.yaml"),
      capacity: { slots: 1, cpus: 4, load: 1000 },
      machines: {
        libvirt: `qemu:///system?socket=${libvirt}`,
        acceleration: "tcg",
        emulation: "allowed",
      },
    }),
  );
  const unit = new UnitFile("testbedd.service");
  const args = unit.args.map((word) => (word.startsWith("/etc/") ? settings : word));
  const notify = join(folder, "run");
  await mkdir(notify);
  const { child, listener, stop } = await startSupervised(notify, args, {
    command: [...unit.launcher({ uid: USER, gids: [gid] }), join(dest, "usr/bin/testbed")],
    env: { TESTBED_STATE: STATE, WATCHDOG_USEC: "3000000" },
  });
  const said = text(child.stderr as NodeJS.ReadableStream);
  await eventually(() => listener.count("READY=1") === 1 || child.exitCode !== null, 60_000);
  const status = await readFile(`/proc/${child.pid}/status`, "utf8");
  expect(status).toMatch(new RegExp(`^Uid:\t${USER}\t${USER}\t${USER}\t${USER}$`, "m"));
  expect(status).toMatch(/^CapEff:\t0000000000001001$/m);
  expect(status).toMatch(/^CapBnd:\t0000000000001001$/m);
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);

  const service = join(STATE, "service");
  const token = join(folder, "ada.token");
  const secret = await root("token", "create", "ada", "--role", "submitter", "--state", service);
  await writeFile(token, secret, { mode: 0o600 });
  const env = {
    ...testEnvironment(),
    TESTBED_SERVICE: `unix:${join(service, "service.sock")}`,
    TESTBED_TOKEN_FILE: token,
  };
  const job = join(folder, "job.yaml");
  await writeFile(
    job,
    JSON.stringify({ image: "micro", timeout: "10m", steps: [{ name: "it", run: "echo done" }] }),
  );
  const ran = await startTestbed(["submit", job, "--watch", "--json"], "", env).done;
  expect(ran.exitCode, `${ran.stderr}`).toBe(0);
  const { id } = JSON.parse(ran.stdout) as { id: string };
  // Of the guest, found by the addresses of its bridge; and virtlogd's file, which is root's.
  const console = await startTestbed(["logs", id, "--log", "console"], "", env).done;
  expect(console.stdout, console.stderr).toContain("testbed: micro starts");
  // Only the machine's own files were given to QEMU's user: what machines share is root's as before.
  const owned = ["find", "-L", join(STATE, "images"), "-type", "f", "!", "-user", "root"];
  expect((await command(owned[0] as string, owned.slice(1))).stdout).toBe("");
  expect(listener.count("WATCHDOG=1")).toBeGreaterThan(1);

  const { code, tookMs } = await stop();
  expect({ code, isSoon: tookMs < 10_000 }, await said).toEqual({ code: 0, isSoon: true });
  expect(listener.lastWords).toEqual(["STOPPING=1", "STATUS=stopping"]);
  await expectNothingLeft(STATE);
});
