import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { command, PATH } from "#test/kit/command.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { UnitFile } from "#test/kit/unit-file.ts";

/** Tenths of systemd's exposure level. The daemon's has the namespaces that an image's inspection is apart by: 0.6. */
const EXPOSURE = { "testbedd.service": 26, "testbed-jobs.service": 20 };
const UNITS = Object.keys(EXPOSURE);
const PROGRAM = "/usr/lib/testbed/current/bin/testbed";

let folder: string;
beforeEach(async () => {
  const scratch = await scratchFolder();
  onTestFinished(async () => await scratch[Symbol.asyncDispose]());
  folder = scratch.path;
});

/** systemd's tools look beside the system's own units; they want UTF-8 for nothing and no pager. */
function tool(name: string, ...args: string[]) {
  return command(name, args, { env: { PATH, SYSTEMD_PAGER: "", LC_ALL: "C" } });
}

describe.each(Object.entries(EXPOSURE))("%s", (name, exposure) => {
  const unit = new UnitFile(name);

  test("systemd understands every line", async () => {
    const text = await readFile(join(ROOT, "systemd", name), "utf8");
    expect(unit.one("ExecStart").startsWith(`${PROGRAM} `)).toBe(true);
    // Where nothing is installed, the program that the unit names is this clone's.
    const path = join(folder, name);
    await writeFile(path, text.replace(PROGRAM, join(ROOT, "bin/testbed")));
    expect(await tool("systemd-analyze", "verify", "--man=no", path)).toMatchObject({
      exitCode: 0,
      stderr: "",
    });
  });

  test("its exposure is what it has to be, at most", async () => {
    const path = join(ROOT, "systemd", name);
    const asked = ["--offline=true", `--threshold=${exposure}`, "--no-pager", path];
    const { exitCode, stdout } = await tool("systemd-analyze", "security", ...asked);
    expect(exitCode, stdout.trim().split("\n").at(-1)).toBe(0);
  });

  test("it promises what the process does: messages, signs of life, a stop in time", () => {
    expect(unit.one("Type")).toBe("notify");
    // systemd-notify is a child of the process.
    expect(unit.one("NotifyAccess")).toBe("all");
    // A sign each 20 s; a stop takes 10 s at most, and must not be cut short.
    expect(unit.seconds("WatchdogSec")).toBeGreaterThanOrEqual(30);
    expect(unit.seconds("TimeoutStopSec")).toBeGreaterThan(10);
    // The exit status of a mistake in the settings.
    expect(unit.one("RestartPreventExitStatus")).toBe("2");
    expect(unit.args[1]).toBe("--config");
  });

  test("a secret that is not there is replaced by words that are refused as one", () => {
    const [id, path] = unit.one("LoadCredential").split(":");
    expect(unit.one("SetCredential")).toBe(`${id}:there is no ${path}`);
  });
});

test("each unit has a user of its own, and only the host's speaks to libvirt", async () => {
  await mkdir(join(folder, "etc"));
  const made = await tool(
    "systemd-sysusers",
    `--root=${folder}`,
    join(ROOT, "systemd/testbed.sysusers"),
  );
  expect(made.exitCode, made.stderr).toBe(0);
  const users = (await readFile(join(folder, "etc/passwd"), "utf8")).trim().split("\n");
  const names = users.map((line) => line.split(":")[0]);
  expect(names.sort()).toEqual(UNITS.map((name) => new UnitFile(name).one("User")).sort());
  expect(users.every((line) => line.endsWith(":/usr/sbin/nologin"))).toBe(true);
  const groups = await readFile(join(folder, "etc/group"), "utf8");
  expect(groups).toMatch(/^libvirt:x:\d+:testbed$/m);
});

test("the folders that must be there are made, with the modes that their users need", async () => {
  await mkdir(join(folder, "etc"));
  await tool("systemd-sysusers", `--root=${folder}`, join(ROOT, "systemd/testbed.sysusers"));
  const made = await tool(
    "systemd-tmpfiles",
    `--root=${folder}`,
    "--create",
    join(ROOT, "systemd/testbed.tmpfiles"),
  );
  expect(made.exitCode, made.stderr).toBe(0);
  const { stdout } = await command("stat", [
    "-c",
    "%n %a",
    join(folder, "var/lib/testbed"),
    join(folder, "etc/testbed"),
  ]);
  expect(stdout.replaceAll(folder, "").trim().split("\n")).toEqual([
    "/var/lib/testbed 711",
    "/etc/testbed 755",
  ]);
});
