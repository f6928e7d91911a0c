import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { variablesPath } from "#host/hypervisor/firmware.ts";
import { LibvirtHypervisor } from "#host/hypervisor/libvirt-hypervisor.ts";
import type { MachineOrder } from "#host/runner/ports.ts";
import { eventually } from "#test/kit/eventually.ts";
import { fileServer, serveFolder } from "#test/kit/file-server.ts";
import { TEST_STATE } from "#test/kit/house.ts";
import { expectNothingLeft } from "#test/kit/leftovers.ts";
import { minisignKey } from "#test/kit/minisign-key.ts";
import { type OtherHost, otherHost } from "#test/kit/other-host.ts";
import { realImages } from "#test/kit/real-images.ts";
import { realOrder } from "#test/kit/real-orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { forgetNetwork } from "#test/kit/slot-networks.ts";
import { startTestbed, testEnvironment } from "#test/kit/testbed.ts";

/** The recipe whose disk is as a distribution's, and what it is called where it comes from elsewhere. */
const RECIPE = "debian-12-uefi";
const CLOUD = "cloud";

const DISK_MIB = 4096;

/** What a distribution's image gives its user, and what this host gives the machine. */
const STEPS = [
  { name: "login", run: 'echo "$(id -un) $HOME $PWD"' },
  { name: "sudo", run: "sudo -n sh -c 'id -un >/dev/stdout'" },
  { name: "firmware", run: "test -d /sys/firmware/efi && echo UEFI" },
  { name: "disk", run: "df --output=size -BM / | tail -n 1" },
  { name: "cloud-init", run: "cloud-init status; cat /run/cloud-init/cloud-id" },
  { name: "curfew", run: "pgrep -cf '[o] >/proc/sysrq-trigger'" },
  { name: "bring home", run: "mkdir out && uname -v >out/kernel" },
];

// Building the image takes a minute or two, booting it under emulation some more.
const LONG_MS = 2_400_000;

test(
  "a job passes in a distribution's image as it comes, imported from its disk file and booted by its own boot loader",
  async () => {
    const { disk, digest: built } = await realImages().resolve(RECIPE, silently, inTime(LONG_MS));
    await using host = await otherHost();
    const how = "--boot uefi --seed cloud-init --login debian --memory 512MiB --json";
    const imported = await testbed(
      host,
      "image",
      "import",
      disk.path,
      "--name",
      CLOUD,
      ...how.split(" "),
    );
    const { digest } = JSON.parse(imported.stdout);
    await using scratch = await scratchFolder();
    const job = {
      image: CLOUD,
      timeout: "25m",
      resources: { disk: `${DISK_MIB}MiB` },
      steps: STEPS,
      artifacts: ["/home/debian/out/**"],
    };
    const [file, results] = [join(scratch.path, "job.yaml"), join(scratch.path, "results")];
    await writeFile(file, JSON.stringify(job));
    const ran = await startTestbed(["run", file, "--results", results], results, host.env).done;
    expect(ran.exitCode, ran.stderr).toBe(0);
    const verdict = await ran.verdict();
    expect(verdict.verdict).toEqual({ kind: "passed" });
    expect(verdict["image"]).toMatchObject({ name: CLOUD, digest });
    expect(digest).not.toBe(built);
    const said = await Promise.all(
      STEPS.map(({ name }, index) => ran.read(`steps/0${index + 1}-${name.replace(" ", "-")}.log`)),
    );
    const [login, sudo, firmware, size, cloudInit, curfew] = said;
    expect([login, sudo, firmware]).toEqual([
      "debian /home/debian /home/debian\n",
      "root\n",
      "UEFI\n",
    ]);
    expect(Number.parseInt(size ?? "", 10)).toBeGreaterThan(disk.virtualMiB);
    expect(cloudInit).toMatch(/^status: done\nnocloud\n?$/);
    expect(curfew).toBe("1\n");
    expect(await ran.read("artifacts/home/debian/out/kernel")).toContain("Debian");
    await expectNothingLeft(host.state);
  },
  LONG_MS,
);

test(
  "a distribution's image comes through a signed catalogue over HTTPS, and its name means it once a machine of it has booted",
  async () => {
    await realImages().resolve(RECIPE, silently, inTime(LONG_MS));
    await using scratch = await scratchFolder();
    const site = join(scratch.path, "site");
    const home = { env: testEnvironment() };
    const packed = ["--to", site, "--as", CLOUD, "--version", "7", "--compress", "zstd", "--json"];
    const exported = await testbed(home, "image", "export", RECIPE, ...packed);
    const { digest } = JSON.parse(exported.stdout);
    await testbed(home, "image", "sign", site);
    const document = join(site, "catalogue.json");
    const key = minisignKey();
    await writeFile(`${document}.minisig`, key.sign(await readFile(document)));
    await using server = await fileServer();
    server.answers(serveFolder(site));
    const [images, ca] = [join(scratch.path, "images.yaml"), join(scratch.path, "ca.pem")];
    await writeFile(ca, server.ca);
    const catalogue = {
      url: `https://localhost:${server.port}/catalogue.json`,
      keys: [key.publicLine],
      allowAddresses: ["127.0.0.0/8", "::1/128"],
      ca,
    };
    await writeFile(images, JSON.stringify({ catalogues: [catalogue] }));
    await using host = await otherHost({ TESTBED_IMAGES: images });
    const refreshed = await testbed(host, "image", "refresh", CLOUD, "--json");
    expect(JSON.parse(refreshed.stdout)).toMatchObject({
      catalogues: [{ outcome: "new", name: "site", version: 1 }],
      images: [{ name: CLOUD, outcome: "switched", digest }],
      troubles: [],
    });
    const shown = await testbed(host, "image", "show", CLOUD, "--json");
    expect(JSON.parse(shown.stdout)).toMatchObject({
      ...{ version: "7", digest, means: "current", boot: "uefi", seed: "cloud-init" },
      ...{ smoke: { outcome: "passed" }, origin: { kind: "catalogue" } },
    });
    await expectNothingLeft(host.state);
  },
  LONG_MS,
);

/** A command that succeeds. */
async function testbed({ env }: Pick<OtherHost, "env">, ...args: readonly string[]) {
  const ran = await startTestbed(args, "", env).done;
  expect(ran.exitCode, ran.stderr).toBe(0);
  return ran;
}

test("firmware variables are the machine's own: QEMU's user writes them, an adopted machine keeps them, and they go with its folder", async () => {
  await using room = await firmwareRoom();
  const { order, hypervisor } = room;
  const variables = variablesPath(order.folder);
  const first = await hypervisor.boot(order, inTime());
  const { uid } = await stat(order.diskPath);
  expect(uid).not.toBe(0);
  expect(await stat(variables)).toMatchObject({ uid });
  // The firmware speaks on the console before it looks for a boot loader, which this disk has not.
  await eventually(async () => (await first.console.size()) > 0, 120_000);
  await using machine =
    (await hypervisor.adopt({ ...order, startedAtMs: 0 }, inTime())) ?? expect.fail();
  expect(machine.ended.aborted).toBe(false);
  await first[Symbol.asyncDispose]();
  await machine[Symbol.asyncDispose]();
  expect(await hypervisor.list(order.identity.installation, inTime())).toEqual([]);
  expect((await stat(variables)).isFile()).toBe(true);
});

const INSTALLATION = "0ef10ef1".repeat(4);
const silently = () => undefined;
const inTime = (ms = 120_000) => AbortSignal.timeout(ms);

/** A machine that is to boot by UEFI, for nobody's installation. Its disk is the small image's, on which firmware finds nothing. */
async function firmwareRoom() {
  await mkdir(TEST_STATE, { recursive: true });
  const folder = await mkdtemp(join(TEST_STATE, "uefi-"));
  // mkdtemp makes it 0700, and QEMU runs as another user.
  await chmod(folder, 0o711);
  const scope = new AsyncDisposableStack();
  scope.defer(() => rm(folder, { recursive: true }));
  const { image, ...rest } = await realOrder(folder, INSTALLATION, 0);
  scope.defer(() => forgetNetwork(INSTALLATION, 0));
  const hypervisor = scope.use(new LibvirtHypervisor("qemu:///system"));
  const order: MachineOrder = { ...rest, image: { ...image, boot: { kind: "uefi" } } };
  return { order, hypervisor, [Symbol.asyncDispose]: () => scope.disposeAsync() };
}
