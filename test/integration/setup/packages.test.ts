import { chmod, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type CommandEnd, command } from "#test/kit/command.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const LISTED = 11;

/** A Debian in a folder: `installed` is what dpkg knows, and apt-get appends to it unless it is told to fail. */
async function onPaperDebian(
  { installed, aptFails }: { installed: string; aptFails: string },
  uses: readonly string[],
): Promise<CommandEnd & { asked: string }> {
  await using folder = await scratchFolder();
  const program = async (name: string, script: string) => {
    await writeFile(join(folder.path, name), `#!/bin/sh\ncd '${folder.path}'\n${script}\n`);
    await chmod(join(folder.path, name), 0o755);
  };
  await writeFile(join(folder.path, "installed"), installed);
  await writeFile(join(folder.path, "asked"), "");
  await program("dpkg", "");
  await program(
    "dpkg-query",
    `for last; do :; done; grep -qx "$last" installed && printf installed`,
  );
  await program("apt-cache", `shift; for name; do printf '%s:\\n  Candidate: 1\\n' "$name"; done`);
  await program(
    "apt-get",
    `echo "$DEBIAN_FRONTEND $*" >>asked
    case " $* " in
      *" install "*) ${aptFails}; for name; do echo "$name"; done >>installed ;;
    esac`,
  );
  const end = await command(join(ROOT, "setup/packages"), uses, {
    env: { PATH: `${folder.path}:/usr/bin:/bin` },
  });
  return { ...end, asked: await readFile(join(folder.path, "asked"), "utf8") };
}

test("what is missing is named with its reason and then installed without a question", async () => {
  const { exitCode, stdout, asked } = await onPaperDebian(
    { installed: "xorriso\n", aptFails: ":" },
    ["run"],
  );
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/will install with apt-get/);
  expect(stdout).toMatch(/qemu-utils\s+qemu-img: disks/);
  expect(stdout).not.toContain("xorriso");
  expect(asked).toMatch(
    /^noninteractive -y .*install --no-install-recommends libvirt-daemon-system /,
  );
  expect(asked.trim().split("\n")).toHaveLength(1);
});

test("when all is there nothing is asked of apt-get", async () => {
  const list = await readFile(join(ROOT, "setup/package-list"), "utf8");
  const installed = list
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .join("\n")
    .replace("@QEMU", "qemu-system-x86\nqemu-system-arm")
    .replace("@UEFI", "ovmf\nqemu-efi-aarch64");
  const { stdout, asked } = await onPaperDebian({ installed, aptFails: "false" }, ["run"]);
  expect(asked).toBe("");
  expect(stdout).toBe(`setup: all ${LISTED} Debian packages are installed\n`);
});

test("an installation that fails is tried again with fresh package lists", async () => {
  const once = `[ -e failed ] || { touch failed; echo 404; exit 100; }`;
  const { exitCode, asked, stderr } = await onPaperDebian({ installed: "", aptFails: once }, [
    "run",
  ]);
  expect(
    asked
      .trim()
      .split("\n")
      .map((line) => /install|update/.exec(line)?.[0]),
  ).toEqual(["install", "update", "install"]);
  expect(stderr).toContain("404");
  expect(exitCode).toBe(0);
});

test("an installation that fails for good ends with what apt-get said", async () => {
  const { exitCode, stderr } = await onPaperDebian(
    { installed: "", aptFails: "echo no space; exit 100" },
    ["run"],
  );
  expect(exitCode).toBe(3);
  expect(stderr).toContain("no space");
  expect(stderr).toContain("apt-get could not install them");
});

test("elsewhere than on Debian the packages are named and nothing is done", async () => {
  await using folder = await scratchFolder();
  for (const tool of ["sh", "readlink", "dirname", "uname", "sed", "id", "cat"]) {
    await symlink(join("/usr/bin", tool), join(folder.path, tool));
  }
  const { exitCode, stderr } = await command(join(ROOT, "setup/packages"), ["image"], {
    env: { PATH: folder.path },
  });
  expect(exitCode).toBe(3);
  expect(stderr).toContain("not Debian");
  expect(stderr).toContain("mmdebstrap busybox-static");
});
