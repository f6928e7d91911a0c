import { access, chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type CommandEnd, command, PATH } from "#test/kit/command.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const SYSTEM = "qemu:///system";

/** Runs setup/test with an npm whose tiers end as `tiers` says, in shell. */
async function withTiers(tiers: string): Promise<CommandEnd & { isStateGone: boolean }> {
  await using folder = await scratchFolder();
  const npm = join(folder.path, "npm");
  await writeFile(npm, `#!/bin/sh\nfor tier; do :; done\n${tiers}\n`);
  await chmod(npm, 0o755);
  const state = join(folder.path, "state");
  const end = await command(join(ROOT, "setup/test"), [], {
    env: { PATH: `${folder.path}:${PATH}`, HOME: folder.path, TESTBED_TEST_STATE: state },
  });
  const isStateGone = await access(state).then(
    () => false,
    () => true,
  );
  return { ...end, isStateGone };
}

test("npm test runs every tier, ends with the runner's closing lines, and tidies its state", async () => {
  const { exitCode, stdout, isStateGone } = await withTiers(
    `printf ' \\033[2mTests\\033[22m  3 passed (3)\\n      Tests  3 passed (3)\\n'`,
  );
  expect(stdout).toMatch(/check +passed +\d+ s\nintegration +passed +\d+ s\ne2e +passed +\d+ s\n/);
  expect(stdout.match(/^(check|integration|e2e) +Tests {2}3 passed \(3\)$/gm)?.length).toBe(6);
  expect(stdout).toMatch(/== npm test: passed\n$/);
  expect(exitCode).toBe(0);
  expect(isStateGone).toBe(true);
});

test("npm test takes the networks and firewalls of its installations away, those of daemons beside it too", async () => {
  await using folder = await scratchFolder();
  const network = join(folder.path, "network.xml");
  await writeFile(network, "<network><name>testbed-0123abcd-0</name></network>");
  const beside = join(folder.path, "beside.xml");
  await writeFile(beside, "<network><name>testbed-0123abce-0</name></network>");
  const { exitCode } = await withTiers(`[ "$tier" != e2e ] || {
    mkdir "$TESTBED_TEST_STATE-lab"
    echo 0123abcd0123 >"$TESTBED_TEST_STATE/installation"
    echo 0123abce0123 >"$TESTBED_TEST_STATE-lab/installation"
    virsh -q -c qemu:///system net-define ${network} && nft add table inet testbed_0123abcd
    virsh -q -c qemu:///system net-define ${beside} && nft add table inet testbed_0123abce
  }`);
  expect(exitCode).toBe(0);
  const { stdout: networks } = await command("virsh", ["-q", "-c", SYSTEM, "net-list", "--all"]);
  expect(networks).not.toMatch(/0123abc[de]/);
  const { stdout: tables } = await command("nft", ["list", "tables"]);
  expect(tables).not.toMatch(/0123abc[de]/);
});

test("npm test fails when one tier fails, runs the others still, and says which", async () => {
  const { exitCode, stdout } = await withTiers(`echo "ran $tier"; [ "$tier" != integration ]`);
  expect(stdout).toMatch(/ran check\n.*ran integration\n.*ran e2e\n/s);
  expect(stdout).toMatch(/integration +failed, exit status 1/);
  expect(stdout).toMatch(/== npm test: FAILED: integration\n$/);
  expect(exitCode).toBe(1);
});

test("npm test fails when its tests leave a machine behind", async () => {
  await using folder = await scratchFolder();
  const emulator = join(folder.path, "qemu-system-left");
  await writeFile(emulator, '#!/bin/sh\nread -r _ <"$1"\n');
  await chmod(emulator, 0o755);
  const pipe = join(folder.path, "pipe");
  const start = `mkfifo ${pipe}; ${emulator} ${pipe} guest=testbed-0123abcd-1 >/dev/null 2>&1 &`;
  const { exitCode, stdout } = await withTiers(
    `[ "$tier" != e2e ] || { echo 0123abcd0123 >"$TESTBED_TEST_STATE/installation"; ${start} }`,
  );
  await command("sh", ["-c", 'echo >"$1"', "sh", pipe]);
  expect(stdout).toMatch(/left behind, and now removed:\n\d+ .*qemu-system-left/);
  expect(stdout).toContain("== npm test: FAILED: leavings");
  expect(exitCode).toBe(1);
});
