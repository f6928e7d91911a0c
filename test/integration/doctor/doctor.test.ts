import { chmod, mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { NamedFinding } from "#host/doctor/examine.ts";
import { command, PATH } from "#test/kit/command.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

type Report = { readonly canRun: boolean; readonly findings: readonly NamedFinding[] };

async function doctor(env: Record<string, string>) {
  const end = await command(join(ROOT, "bin/testbed"), ["doctor", "--json"], {
    env: { PATH, HOME: "/root", ...env },
  });
  const { canRun, findings } = JSON.parse(end.stdout) as Report;
  const finding = (wanted: string) => findings.find(({ name }) => name === wanted);
  return { ...end, canRun, findings, finding };
}

test("a host that is set up can run jobs, and says by what", async () => {
  await using folder = await scratchFolder();
  await chmod(folder.path, 0o755);
  const { exitCode, canRun, findings, finding } = await doctor({ TESTBED_STATE: folder.path });
  expect(findings.filter(({ mark }) => mark === "problem")).toEqual([]);
  expect(canRun).toBe(true);
  expect(exitCode).toBe(0);
  expect(finding("libvirt")?.found).toMatch(/^version \d+\.\d+\.\d+, answered in \d+ ms/);
  expect(finding("QEMU")?.found).toContain("qemu-system");
});

test("without libvirt no job can run, and the report says how to start it", async () => {
  const { exitCode, canRun, finding } = await doctor({
    TESTBED_LIBVIRT: "qemu:///system?socket=/nowhere/libvirt-sock",
  });
  expect(canRun).toBe(false);
  expect(exitCode).toBe(3);
  expect(finding("libvirt socket")).toMatchObject({
    mark: "problem",
    mend: expect.stringMatching(/libvirt start$|systemctl start libvirtd/),
  });
  expect(finding("virtlogd")?.mark).toBe("problem");
});

test("a libvirt that takes the connection and says nothing ends at its deadline", async () => {
  await using folder = await scratchFolder();
  const socket = join(folder.path, "libvirt-sock");
  const server = createServer().listen(socket);
  try {
    const { exitCode, finding, tookMs } = await doctor({
      TESTBED_LIBVIRT: `qemu:///system?socket=${socket}`,
    });
    expect(finding("libvirt socket")?.mark).toBe("ok");
    expect(finding("libvirt")?.mark).toBe("problem");
    expect(exitCode).toBe(3);
    expect(tookMs).toBeLessThan(30_000);
  } finally {
    server.close();
  }
});

test("a state folder that QEMU's user cannot reach is named with the command that opens it", async () => {
  await using folder = await scratchFolder();
  await chmod(folder.path, 0o700);
  const state = join(folder.path, "state");
  await mkdir(state);
  const { finding } = await doctor({ TESTBED_STATE: state });
  expect(finding("state folder")).toMatchObject({
    mark: "problem",
    mend: `chmod o+x ${folder.path}`,
  });
});
