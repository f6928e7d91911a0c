import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readDaemonSettings } from "#cli/daemon/daemon-settings.ts";
import { readServiceSettings } from "#cli/service/service-settings.ts";
import { LIMITS } from "#service/api/limits.ts";
import { RETENTION } from "#service/upkeep/retention.ts";

function file(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "testbed-settings-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "service.yaml");
  writeFileSync(path, text);
  return path;
}

test("the defaults of the configuration are those that the service's rooms have by themselves", async () => {
  const { limits, retention, ...rest } = await readServiceSettings({ state: "/x" });
  expect(LIMITS).toMatchObject(limits);
  expect(retention).toEqual(RETENTION);
  expect(rest).toEqual({
    folder: "/x",
    addresses: [{ kind: "tcp", host: "127.0.0.1", port: 8420 }],
    certificate: undefined,
    leaseSeconds: 300,
    reserveBytes: 512 * 2 ** 20,
    logLevel: "info",
  });
});

test("every key of the file comes to where it counts", async () => {
  const config = file(`
lease: 2m
reserve: 1GiB
limits: { content: 1MiB, log: 2MiB, attemptLogs: 3MiB, attemptArtifacts: 4MiB, inputs: 5MiB, queued: 6, connections: 70, waiting: 8 }
retention:
  jobs: 2d
  files: { passed: 1h, failed: 12h, timedOut: 3d, cancelled: 4d, broken: 5d }
  size: 1GiB
  inputs: 6d
  uploads: 7d
  hosts: 8d
  tokens: 9d
log: { level: debug }
`);
  const { limits, retention, leaseSeconds, reserveBytes, logLevel } = await readServiceSettings({
    config,
  });
  expect({ leaseSeconds, reserveBytes, logLevel }).toEqual({
    leaseSeconds: 120,
    reserveBytes: 2 ** 30,
    logLevel: "debug",
  });
  expect(limits).toEqual({
    contentBytes: 2 ** 20,
    logBytes: 2 * 2 ** 20,
    attemptLogs: { ...LIMITS.attemptLogs, bytesMax: 3 * 2 ** 20 },
    attemptArtifacts: { ...LIMITS.attemptArtifacts, bytesMax: 4 * 2 ** 20 },
    inputBytes: 5 * 2 ** 20,
    queuedMax: 6,
    connectionsMax: 70,
    waitingMax: 8,
  });
  expect(retention).toEqual({
    jobDays: 2,
    fileDays: { passed: 1 / 24, failed: 0.5, "timed-out": 3, cancelled: 4, broken: 5 },
    filesBytesMax: 2 ** 30,
    inputDays: 6,
    uploadDays: 7,
    hostDays: 8,
    tokenDays: 9,
  });
});

test("a service inside a daemon has its folder in the daemon's state, unless its own file says otherwise", async () => {
  const own = file("listen: []\n");
  const elsewhere = file("state: /elsewhere\n");
  const folderOf = async (more: string) => {
    const { service } = await readDaemonSettings(file(`host: lab-1\nstate: /srv/lab\n${more}`));
    return service.kind === "embedded" ? service.settings.folder : undefined;
  };
  expect(await folderOf("")).toBe("/srv/lab/service");
  expect(await folderOf(`serviceConfig: ${own}\n`)).toBe("/srv/lab/service");
  expect(await folderOf(`serviceConfig: ${elsewhere}\n`)).toBe("/elsewhere");
});

test("what should be certificates to trust, and is none, is said at the start", async () => {
  const token = file("testbed_secret\n");
  chmodSync(token, 0o600);
  const daemon = (ca: string) =>
    readDaemonSettings(file(`service: https://jobs.example\ntoken: ${token}\nca: ${ca}\n`));
  await expect(daemon(file("listen: []\n"))).rejects.toThrow(/holds no certificate in PEM/);
  await expect(daemon(file("x".repeat(2 ** 20 + 1)))).rejects.toThrow(/longer than 1 MiB/);
  await expect(daemon("/nowhere/ca.pem")).rejects.toThrow(/no such file/);
});
