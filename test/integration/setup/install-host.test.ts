import { existsSync } from "node:fs";
import {
  appendFile,
  chmod,
  cp,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { command, PATH } from "#test/kit/command.ts";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { startSupervised } from "#test/kit/supervised.ts";
import { UnitFile } from "#test/kit/unit-file.ts";

/** A number that no user of this machine has. */
const STRANGER = 64_998;
const LIB = "usr/lib/testbed";

let dest: string;
beforeEach(async () => {
  const scratch = await scratchFolder();
  onTestFinished(async () => await scratch[Symbol.asyncDispose]());
  dest = join(scratch.path, "dest");
  await chmod(scratch.path, 0o711);
});

/** Installs this clone, or another tree of the same form, below `dest`. */
function install(args: readonly string[] = [], { from = ROOT, env = {} } = {}) {
  return command("sh", [join(from, "setup/install-host"), ...args], {
    env: {
      PATH,
      HOME: join(dest, "..", "home"),
      DESTDIR: dest,
      npm_config_offline: "true",
      ...env,
    },
  });
}

/** A tree of a clone's form, small enough to be installed often. */
async function smallClone(): Promise<string> {
  const from = join(dest, "..", "clone");
  for (const name of ["bin", "src", "images", "node_modules/commander"])
    await mkdir(join(from, name), { recursive: true });
  for (const name of ["config", "systemd", "setup"])
    await cp(join(ROOT, name), join(from, name), { recursive: true });
  const about = { name: "testbed", version: "9.9.9", dependencies: { commander: "1.0.0" } };
  await writeFile(join(from, "package.json"), JSON.stringify(about, null, 2));
  const commander = JSON.stringify({ name: "commander", version: "1.0.0" });
  await writeFile(join(from, "node_modules/commander/package.json"), commander);
  await writeFile(join(from, "LICENSE"), "");
  return from;
}

test("what is installed runs as a user who may only read it, and keeps its settings and state", async () => {
  const { exitCode, stderr } = await install();
  expect(exitCode, stderr).toBe(0);
  const settings = join(dest, "etc/testbed/service.yaml");
  await appendFile(settings, 'lease: 1m\nlisten: [ "127.0.0.1:0" ]\n');
  const again = await install();
  expect(again.exitCode, again.stderr).toBe(0);
  expect(again.stdout).toContain("is there already");
  expect(await readFile(settings, "utf8")).toContain("lease: 1m\n");
  expect(await readdir(join(dest, LIB, "versions"))).toHaveLength(1);

  const program = join(dest, "usr/bin/testbed");
  const isRoot = process.getuid?.() === 0;
  const unit = new UnitFile("testbed-jobs.service");
  const as = isRoot ? unit.launcher({ uid: STRANGER, gids: [] }) : ["env"];
  const run = (...args: string[]) => command(as[0] as string, [...as.slice(1), program, ...args]);
  expect((await run("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect((await run("check-config", "service", settings)).stdout).toContain("lease: 1m\n");

  // As the unit starts it: its user, its command, its environment, a tree that it cannot write to.
  const state = join(dest, "..", "state");
  const cache = join(dest, "..", "cache");
  for (const folder of [state, cache, join(dest, "..", "run")]) {
    await mkdir(folder);
    if (isRoot) await command("chown", [String(STRANGER), folder]);
  }
  const args = unit.args.map((word) => (word.startsWith("/etc/") ? join(dest, word) : word));
  const { listener, stop } = await startSupervised(join(dest, "..", "run"), args, {
    command: [...as, program],
    env: { TESTBED_STATE: state, NODE_COMPILE_CACHE: cache },
  });
  await eventually(() => listener.count("READY=1") === 1, 20_000);
  expect((await stop()).code).toBe(0);
  expect(listener.lastWords).toEqual(["STOPPING=1", "STATUS=stopping"]);
  expect(existsSync(join(state, "service/jobs.sqlite"))).toBe(true);
  expect(await readdir(cache)).not.toEqual([]);
  if (isRoot) expect(existsSync(join(dest, LIB, "current/node_modules/.cache"))).toBe(false);
});

test("a new version comes beside the old one, which stays for those who run it", async () => {
  const from = await smallClone();
  await writeFile(join(from, "README.md"), "one");
  expect((await install([], { from })).exitCode).toBe(0);
  const first = await realpath(join(dest, LIB, "current"));
  await writeFile(join(from, "README.md"), "two");
  expect((await install([], { from })).exitCode).toBe(0);
  const second = await realpath(join(dest, LIB, "current"));
  expect(second).not.toBe(first);
  expect(await readFile(join(first, "README.md"), "utf8")).toBe("one");
  expect(await readFile(join(dest, LIB, "current/README.md"), "utf8")).toBe("two");
  await writeFile(join(from, "README.md"), "three");
  const third = await install([], { from });
  expect(third.stdout).toContain(`removed ${first.split("/").at(-1)}`);
  expect(await readdir(join(dest, LIB, "versions"))).toHaveLength(2);
  expect((await readdir(join(dest, LIB))).filter((name) => name.startsWith(".new"))).toEqual([]);
});

test("with a prefix the units name the program where it is", async () => {
  expect((await install([], { env: { PREFIX: "/usr/local" } })).exitCode).toBe(0);
  const unit = await readFile(join(dest, "usr/local/lib/systemd/system/testbedd.service"), "utf8");
  expect(unit).toContain("ExecStart=/usr/local/lib/testbed/current/bin/testbed daemon ");
  expect(unit).not.toContain("/usr/lib/testbed");
  expect(await readlink(join(dest, "usr/local/bin/testbed"))).toBe(
    "../lib/testbed/current/bin/testbed",
  );
});

test("a dry run says everything and does nothing, a wrong word is refused", async () => {
  const dry = await install(["--dry-run"]);
  expect(dry).toMatchObject({ exitCode: 0, stderr: "" });
  expect(dry.stdout).toContain(`would write ${dest}/etc/testbed/daemon.yaml`);
  expect(existsSync(dest)).toBe(false);
  expect(await install(["--dry"])).toMatchObject({ exitCode: 2 });
  expect((await install(["--help"])).stdout).toContain("systemctl disable");
  expect(await install([], { env: { PREFIX: "relative" } })).toMatchObject({ exitCode: 3 });
});
