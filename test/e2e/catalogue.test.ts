import { access, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { command, PATH } from "#test/kit/command.ts";
import { ROOT, TEST_STATE } from "#test/kit/house.ts";
import { machinesLeft } from "#test/kit/leftovers.ts";
import { testEnvironment } from "#test/kit/testbed.ts";

const SCRIPT = join(ROOT, "config/examples/catalogue/walkthrough.sh");

/** What README promises of the walkthrough, in this order. */
const LINES: readonly RegExp[] = [
  /^lab-micro:1 sha256:\w{64} /m,
  /^asking https:\/\/127\.0\.0\.1:\d+\/catalogue\.json$/m,
  /^image lab-micro: fetching disk\.qcow2$/m,
  /^image lab-micro: inspecting$/m,
  /^new +https:.*: site, version 1, signed by [0-9A-F]{16}$/m,
  /^switched +lab-micro means version 1 now$/m,
  /^lab-micro +1 +current +\w{12} .* catalogue +passed /m,
  /^smoke boot +passed /m,
  /^1 image read: nothing is damaged$/m,
  /^==> image lab-micro:1, sha256 \w{12}$/m,
  /^==> passed after /m,
  /^image lab-micro: fetching kernel$/m,
  /^passed {2}lab-micro:2; its name means it now$/m,
  /^switched +lab-micro means version 3 now$/m,
  /^lab-micro:3 .* stays +current of lab-micro$/m,
  /^lab-micro:2 .* stays +previous of lab-micro, kept to fall back to$/m,
  /^lab-micro:1 .* goes +older than 30 d and not used since /m,
  /^lab-micro:1 .* gone +older than 30 d and not used since /m,
  /^refused +https:.*: the catalogue is not what key [0-9A-F]{16} signed/m,
  /^refused +https:.*: the catalogue is not signed$/m,
  /^unchanged +lab-micro means version 3$/m,
  /^==> image lab-micro:3, sha256 \w{12}$/m,
  /^unchanged +https:.*: site, version 3, signed by /m,
  /^carried-micro:3 sha256:\w{64}$/m,
  /^4 images read: nothing is damaged$/m,
  /^walkthrough: all went well$/m,
];

const COMMANDS = [
  ...["build", "export", "sign", "refresh", "list", "show", "verify"],
  ...["fetch", "smoke", "prune", "import"],
];

/** SIGTERM first, upon which the script still takes down what it has. */
const INTIME = ["--kill-after=60", "300"];

test("the walkthrough of a catalogue goes from a signed fetch to a smoke boot to a job to a prune, and leaves nothing behind", async () => {
  const folder = await mkdtemp(`${TEST_STATE}-walkthrough-`);
  try {
    const env = { ...testEnvironment(), PATH: `${join(ROOT, "bin")}:${PATH}` };
    const { exitCode, stdout, stderr } = await command(
      "timeout",
      [...INTIME, "sh", "-c", '"$0" "$1" 2>&1', SCRIPT, folder],
      { env, timeoutMs: 400_000 },
    );
    expect(exitCode, stdout + stderr).toBe(0);
    let rest = stdout;
    for (const line of LINES) {
      const at = rest.search(line);
      expect(at, `${line} in:\n${rest}`).toBeGreaterThanOrEqual(0);
      rest = rest.slice(at).replace(/^.*\n/, "");
    }
    for (const name of COMMANDS)
      expect(stdout).toMatch(new RegExp(`^\\$ testbed image ${name}\\b`, "m"));
    const [, prefix] = /^\| hello from (testbed-[0-9a-f]{8}-)/m.exec(stdout) ?? expect.fail();
    expect(await machinesLeft(prefix ?? "")).toEqual([]);
    const networks = await command("virsh", [
      "-c",
      "qemu:///system",
      "net-list",
      "--all",
      "--name",
    ]);
    expect(networks.stdout).not.toContain(prefix);
    await expect(access(folder)).rejects.toThrow("ENOENT");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 450_000);
