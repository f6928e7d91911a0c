import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { FileLock } from "#lib/file-lock.ts";
import type { JobDetail } from "#protocol/job-view.ts";
import { eventually } from "#test/kit/eventually.ts";
import { asking, job, renewal, report } from "#test/kit/lease-messages.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import {
  askService,
  type ServiceProcess,
  startService,
  stopService,
  testbed,
} from "#test/kit/service-process.ts";

let folder: string;
let state: string;
let copy: string;

beforeEach(async () => {
  const scratch = await scratchFolder();
  onTestFinished(async () => await scratch[Symbol.asyncDispose]());
  folder = scratch.path;
  state = join(folder, "jobs");
  copy = join(folder, "copy");
});

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

async function token(name: string, role: string): Promise<string> {
  const made = await testbed("token", "create", name, "--role", role, "--state", state);
  return made.stdout.trim();
}

type Tokens = { readonly ada: string; readonly lab: string };

async function submit(service: ServiceProcess, { ada }: Tokens): Promise<string> {
  const { text } = await askService(service, ada, ["POST", "/v1/jobs", { job: job() }]);
  return (JSON.parse(text) as { id: string }).id;
}

async function lease(service: ServiceProcess, { lab }: Tokens): Promise<string> {
  const requestId = crypto.randomUUID().replaceAll("-", "");
  const request = asking("lab-1", { requestId });
  const { text } = await askService(service, lab, ["POST", "/v1/leases", request]);
  return `/v1/leases/${(JSON.parse(text) as { lease: string }).lease}`;
}

/** One job from its submit to its verdict, with a log and an artifact that are its own. */
async function oneJob(service: ServiceProcess, tokens: Tokens): Promise<string> {
  const id = await submit(service, tokens);
  const held = await lease(service, tokens);
  const put = (path: string, body: string) =>
    askService(service, tokens.lab, ["PUT", `${held}/${path}`, body]);
  await put("logs/output?offset=0", `the log, first half`);
  await put("logs/output?offset=19", `, second half`);
  const made = `made by ${held}`;
  const artifact = { path: "a", bytes: made.length, sha256: sha256(made) };
  await put(`artifacts/${artifact.sha256}?offset=0&total=${made.length}`, made);
  const said = report(
    { kind: "passed" },
    { artifacts: [artifact], logs: [{ log: "output", bytes: 32 }] },
  );
  const settled = await askService(service, tokens.lab, ["POST", `${held}/verdict`, said]);
  expect(settled.status).toBe(200);
  return id;
}

/** Everything that the database names is there, byte for byte; returns how many jobs are over. */
async function checkCopy(service: ServiceProcess, { ada }: Tokens): Promise<number> {
  const database = new DatabaseSync(join(copy, "jobs.sqlite"), { readOnly: true });
  expect(database.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
  expect(database.prepare("PRAGMA foreign_key_check").all()).toEqual([]);
  const ids = database.prepare("SELECT id FROM jobs WHERE state = 'settled'").all();
  database.close();
  for (const { id } of ids) {
    const shown = await askService(service, ada, ["GET", `/v1/jobs/${id}`]);
    expect(JSON.parse(shown.text) as JobDetail).toMatchObject({ verdict: "passed" });
    const log = await askService(service, ada, ["GET", `/v1/jobs/${id}/logs/output`]);
    expect(log.text).toBe("the log, first half, second half");
    const list = await askService(service, ada, ["GET", `/v1/jobs/${id}/artifacts`]);
    const { artifacts } = JSON.parse(list.text) as { artifacts: { sha256: string }[] };
    expect(artifacts).toHaveLength(1);
    for (const { sha256: digest } of artifacts) {
      const got = await askService(service, ada, ["GET", `/v1/jobs/${id}/artifacts/${digest}`]);
      expect(sha256(got.text)).toBe(digest);
    }
  }
  return ids.length;
}

test("a backup that is made while everybody writes is a state folder with all that it names", async () => {
  const service = await startService(state);
  const tokens = { ada: await token("ada", "submitter"), lab: await token("lab-1", "host") };
  const input = "an input";
  const upload = `/v1/inputs/${sha256(input)}?offset=0&total=${input.length}`;
  await askService(service, tokens.ada, ["PUT", upload, input]);
  const running = await submit(service, tokens);
  const held = await lease(service, tokens);
  await askService(service, tokens.lab, ["PUT", `${held}/logs/output?offset=0`, "before "]);

  let isOver = false;
  let count = 0;
  const writers = [0, 1, 2].map(async () => {
    while (!isOver) {
      await oneJob(service, tokens);
      count += 1;
    }
  });
  await eventually(() => count >= 20, 20_000);
  const made = await testbed("service", "backup", copy, "--state", state);
  expect(made).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("complete after") });
  const countThen = count;
  await eventually(() => count > countThen, 20_000);
  isOver = true;
  await Promise.all(writers);
  await askService(service, tokens.lab, ["PUT", `${held}/logs/output?offset=7`, "and after"]);
  await submit(service, tokens);
  const newer = await lease(service, tokens);

  const restored = await startService(copy);
  expect(await checkCopy(restored, tokens)).toBeGreaterThanOrEqual(20);
  const there = await askService(restored, tokens.ada, ["HEAD", `/v1/inputs/${sha256(input)}`]);
  expect(there.status).toBe(204);

  // The host of a lease that the backup knows goes on from where the backup ends.
  const renew = (path: string) =>
    askService(restored, tokens.lab, ["POST", `${path}/renew`, renewal("running")]);
  expect((await renew(held)).status).toBe(200);
  const log = `${held}/logs/output`;
  const late = await askService(restored, tokens.lab, ["PUT", `${log}?offset=16`, "x"]);
  expect(JSON.parse(late.text)).toMatchObject({ haveBytes: 7 });
  await askService(restored, tokens.lab, ["PUT", `${log}?offset=7`, "elsewhere"]);
  const read = (from: ServiceProcess) =>
    askService(from, tokens.ada, ["GET", `/v1/jobs/${running}/logs/output`]);
  expect((await read(restored)).text).toBe("before elsewhere");
  expect((await read(service)).text).toBe("before and after");
  const fenced = await renew(newer);
  expect(fenced.status).toBe(409);
  expect(JSON.parse(fenced.text)).toMatchObject({
    type: "urn:testbed:problem:fenced",
    detail: expect.stringContaining("goes on from a backup made at 2"),
  });
  expect(JSON.parse((await renew(`/v1/leases/${"0".repeat(32)}`)).text)).toMatchObject({
    type: "urn:testbed:problem:fenced",
  });
  await stopService(restored);
  await stopService(service);
});

test("a backup of a service that does not run; a folder that is not empty; a folder that is none", async () => {
  const service = await startService(state);
  const tokens = { ada: await token("ada", "submitter"), lab: await token("lab-1", "host") };
  const id = await oneJob(service, tokens);
  await stopService(service);
  expect(await testbed("service", "backup", copy, "--state", state)).toMatchObject({ exitCode: 0 });
  expect((await readdir(copy)).sort()).toEqual(["files", "jobs.sqlite"]);
  const again = await testbed("service", "backup", copy, "--state", state);
  expect(again).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("not empty") });
  const none = await testbed("service", "backup", join(folder, "c"), "--state", join(folder, "x"));
  expect(none).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--state") });
  expect(await readdir(folder)).not.toContain("c");

  const restored = await startService(copy);
  expect(await checkCopy(restored, tokens)).toBe(1);
  await stopService(restored);

  // What the database names and is not there makes no backup.
  await rm(join(state, "files", "logs", id.slice(0, 2), id), { recursive: true });
  await mkdir(join(folder, "other"));
  const damaged = await testbed("service", "backup", join(folder, "other"), "--state", state);
  expect(damaged.exitCode).toBe(3);
  expect(damaged.stderr).toContain(`log output of job ${id}, attempt 1`);
  expect(await readdir(join(folder, "other"))).not.toContain("jobs.sqlite");
});

test("a backup begins when nothing is being removed", async () => {
  await stopService(await startService(state));
  const removing = FileLock.tryTake(join(state, "upkeep.lock"));
  const backup = testbed("service", "backup", copy, "--state", state);
  await eventually(() => existsSync(copy), 20_000);
  expect(await readdir(copy)).toEqual([]);
  removing?.[Symbol.dispose]();
  expect(await backup).toMatchObject({ exitCode: 0 });
  expect(await readdir(copy)).toEqual(["jobs.sqlite"]);
});
