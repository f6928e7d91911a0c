import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkAcceleration, checkKvmDevice } from "#host/doctor/check-kvm.ts";
import { checkAnswer, checkQemu, checkSocket, checkVirtlogd } from "#host/doctor/check-libvirt.ts";
import { checkForwarding, checkIpv6, checkUser } from "#host/doctor/check-network.ts";
import { checkMemory, checkStateFolder } from "#host/doctor/check-room.ts";
import { checkFirmware, checkImageTools, checkRunTools } from "#host/doctor/check-tools.ts";
import { TOOLS } from "#host/doctor/tools.ts";
import { hostView, setProc } from "#test/kit/host-view.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const signal = AbortSignal.timeout(60_000);
let folder: string;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  folder = stack.use(await scratchFolder()).path;
  await chmod(folder, 0o755);
});

afterEach(async () => {
  await stack.disposeAsync();
});

async function listen(path: string): Promise<Server> {
  const server = createServer().listen(path);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.once("listening", resolve);
  await promise;
  stack.defer(() => new Promise((done) => server.close(() => done())));
  return server;
}

test("a socket that takes us is found, the second one too", async () => {
  await listen(join(folder, "libvirt-sock"));
  expect(await checkSocket(await hostView(folder), signal)).toEqual({
    mark: "ok",
    found: join(folder, "libvirt-sock"),
  });
});

test("without a socket it says how to start libvirt, by systemd where there is one", async () => {
  expect(await checkSocket(await hostView(folder), signal)).toMatchObject({
    mark: "problem",
    mend: "/opt/testbed/setup/libvirt start",
  });
  expect(await checkSocket(await hostView(folder, { hasSystemd: true }), signal)).toMatchObject({
    mend: "systemctl start libvirtd",
  });
});

test("what is no listening socket is told from a missing one", async () => {
  await writeFile(join(folder, "libvirt-sock"), "");
  const finding = await checkSocket(await hostView(folder), signal);
  expect(finding.mark).toBe("problem");
  expect(finding.found).toContain("no libvirt behind it");
});

test("a libvirt that answers late is a warning with the KVM device as its cure", async () => {
  const answer = await (await hostView(folder)).libvirt();
  const slow = await hostView(folder, { libvirt: async () => ({ ...answer, tookMs: 12_000 }) });
  expect(await checkAnswer(await hostView(folder))).toMatchObject({ mark: "ok" });
  expect(await checkAnswer(slow)).toMatchObject({
    mark: "warning",
    mend: "chgrp kvm /dev/kvm; chmod 660 /dev/kvm",
  });
});

test("a libvirt that fails is a problem once, and only unknown to the others", async () => {
  const fail = () => Promise.reject(new Error("no daemon"));
  const view = await hostView(folder, { libvirt: fail, emulator: fail });
  expect(await checkAnswer(view)).toMatchObject({ mark: "problem" });
  expect(await checkQemu(view)).toMatchObject({ mark: "warning" });
  await writeFile(view.kvmDevice, "");
  expect(await checkKvmDevice(view)).toMatchObject({ mark: "ok" });
  expect(await checkStateFolder(view)).toMatchObject({ mark: "ok" });
});

test("a libvirt without our emulator is a problem that installing mends", async () => {
  const view = await hostView(folder, {
    emulator: () => Promise.reject(new Error("invalid argument")),
  });
  expect(await checkQemu(view)).toEqual({
    mark: "problem",
    found: "libvirt has no emulator for our machines: invalid argument",
    mend: "/opt/testbed/setup/packages run",
  });
});

test("no virtlogd is a problem", async () => {
  expect(await checkVirtlogd(await hostView(folder), signal)).toMatchObject({ mark: "problem" });
  await listen(join(folder, "virtlogd-sock"));
  expect(await checkVirtlogd(await hostView(folder), signal)).toMatchObject({ mark: "ok" });
});

test("a KVM device that QEMU's user cannot open is a warning with the two commands", async () => {
  const view = await hostView(folder);
  expect((await checkKvmDevice(view)).found).toContain("there is no");
  await writeFile(view.kvmDevice, "");
  await chmod(view.kvmDevice, 0o600);
  expect(await checkKvmDevice(view)).toMatchObject({
    mark: "warning",
    mend: `chgrp kvm ${view.kvmDevice}; chmod 660 ${view.kvmDevice}`,
  });
  await chmod(view.kvmDevice, 0o666);
  expect(await checkKvmDevice(view)).toMatchObject({ mark: "ok" });
});

test("what the probe remembers is told, emulation as a warning", async () => {
  const why = "a small machine said nothing";
  const emulated = await hostView(folder, {
    acceleration: async () => ({ acceleration: "tcg", why }),
  });
  const real = await hostView(folder, { acceleration: async () => ({ acceleration: "kvm", why }) });
  expect(await checkAcceleration(await hostView(folder))).toMatchObject({ mark: "ok" });
  expect(await checkAcceleration(real)).toEqual({ mark: "ok", found: `kvm: ${why}` });
  expect(await checkAcceleration(emulated)).toMatchObject({
    mark: "warning",
    mend: `rm ${join(folder, "state/acceleration.json")}`,
  });
});

test("missing tools are named with the packages that have them", async () => {
  const view = await hostView(folder);
  for (const tool of [...Object.keys(TOOLS.run), ...Object.keys(TOOLS.image)]) {
    await writeFile(join(folder, "bin", tool), "", { mode: 0o755 });
  }
  expect(await checkRunTools(view)).toMatchObject({ mark: "ok" });
  expect(await checkImageTools(view)).toMatchObject({ mark: "ok" });
  await rm(join(folder, "bin/nft"));
  await rm(join(folder, "bin/mke2fs"));
  await chmod(join(folder, "bin/busybox"), 0o644);
  expect(await checkRunTools(view)).toEqual({
    mark: "problem",
    found: "not installed: nft",
    mend: "apt-get install nftables",
  });
  expect(await checkImageTools(view)).toEqual({
    mark: "warning",
    found: "not installed: busybox, mke2fs",
    mend: "apt-get install busybox-static e2fsprogs",
  });
});

test("missing firmware is a warning with the package that has it: other images work", async () => {
  const view = await hostView(folder);
  await writeFile(join(folder, "CODE.fd"), "");
  expect(await checkFirmware(view)).toEqual({
    mark: "warning",
    found: `there is no ${join(folder, "VARS.fd")}: no image of a distribution boots`,
    mend: "apt-get install ovmf",
  });
  await writeFile(join(folder, "VARS.fd"), "");
  expect(await checkFirmware(view)).toMatchObject({ mark: "ok" });
  expect(await checkFirmware({ ...view, firmware: undefined })).toMatchObject({ mark: "warning" });
});

test("a state folder behind a closed one is a problem that names the closed one", async () => {
  const closed = join(folder, "it's closed");
  const stateFolder = join(closed, "state/deep");
  const view = await hostView(folder, { stateFolder });
  expect(await checkStateFolder(view)).toEqual({
    mark: "ok",
    found: `${stateFolder} (made at first use)`,
  });
  await mkdir(dirname(stateFolder), { recursive: true });
  await chmod(closed, 0o700);
  expect(await checkStateFolder(view)).toMatchObject({
    mark: "problem",
    mend: `chmod o+x '${folder}/it'\\''s closed'`,
  });
});

test("memory is judged by what a machine could have", async () => {
  const view = await hostView(folder);
  expect(await checkMemory(view)).toEqual({ mark: "ok", found: "7 GiB of memory free" });
  await setProc(folder, { meminfo: "MemAvailable:    1048576 kB\n" });
  expect(await checkMemory(view)).toMatchObject({ mark: "warning" });
  await setProc(folder, { meminfo: "MemAvailable:    262144 kB\n" });
  expect(await checkMemory(view)).toMatchObject({ mark: "problem" });
});

test("IPv6 that is switched off or not there is a problem", async () => {
  const view = await hostView(folder);
  expect((await checkIpv6(view, signal)).mark).not.toBe("problem");
  await setProc(folder, { "sys/net/ipv6/conf/default/disable_ipv6": "1\n" });
  expect(await checkIpv6(view, signal)).toMatchObject({ mark: "problem" });
  await rm(join(folder, "proc/sys/net/ipv6"), { recursive: true });
  expect((await checkIpv6(view, signal)).found).toContain("no IPv6");
});

test("forwarding that is off is fine as long as it can be switched on", async () => {
  const view = await hostView(folder);
  expect(await checkForwarding(view)).toEqual({ mark: "ok", found: "on" });
  await setProc(folder, { "sys/net/ipv4/ip_forward": "0\n" });
  expect(await checkForwarding(view)).toMatchObject({ mark: "ok" });
  await rm(join(folder, "proc/sys/net/ipv4/ip_forward"));
  expect(await checkForwarding(view)).toMatchObject({ mark: "warning" });
});

test("only root can run jobs", async () => {
  expect(await checkUser(await hostView(folder, { userId: 1000 }))).toMatchObject({
    mark: "problem",
  });
});
