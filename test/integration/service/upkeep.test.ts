import { createHash } from "node:crypto";
import { mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { RETENTION } from "#service/upkeep/retention.ts";
import { asking, job, report } from "#test/kit/lease-messages.ts";
import { ServiceRoom } from "#test/kit/service-room.ts";

const DAY = 86_400;
const HOLD = 16 * 60;

let room: ServiceRoom;
let ada: string;
let lab: string;

beforeEach(async () => {
  room = await ServiceRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
  ada = await room.token("ada", "submitter");
  lab = await room.token("lab-1", "host");
});

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** A job that left a log and an artifact of so many bytes, and passed. */
async function settled(artifactBytes = 10): Promise<string> {
  const submitted = await room.ask("POST", "/v1/jobs", { token: ada, json: { job: job() } });
  const leased = await room.ask("POST", "/v1/leases", { token: lab, json: asking("lab-1") });
  const lease = `/v1/leases/${leased.json.lease}`;
  await room.ask("PUT", `${lease}/logs/output?offset=0`, { token: lab, bytes: "a log" });
  const bytes = "x".repeat(artifactBytes);
  const artifact = { path: "a", bytes: artifactBytes, sha256: sha256(bytes) };
  const path = `${lease}/artifacts/${artifact.sha256}?offset=0&total=${artifactBytes}`;
  await room.ask("PUT", path, { token: lab, bytes });
  const logs = [{ log: "output", bytes: 5 }];
  const verdict = report({ kind: "passed" }, { artifacts: [artifact], logs });
  const taken = await room.ask("POST", `${lease}/verdict`, { token: lab, json: verdict });
  expect(taken.status).toBe(200);
  return submitted.json.id as string;
}

async function upload(text: string, sent = text): Promise<string> {
  const path = `/v1/inputs/${sha256(text)}?offset=0&total=${text.length}`;
  await room.ask("PUT", path, { token: ada, bytes: sent });
  return sha256(text);
}

/** All files of jobs and inputs. */
async function files(): Promise<readonly string[]> {
  const names = await readdir(room.folder, { recursive: true, withFileTypes: true });
  return names
    .filter((entry) => entry.isFile() && /\/(logs|artifacts|inputs)\//.test(`${entry.parentPath}/`))
    .map(({ name }) => name)
    .sort();
}

/** So many ticks, a day after each other, so that the walk begins anew. */
async function tidy(ticks = 3): Promise<void> {
  for (let count = 0; count < ticks; count += 1) {
    await room.upkeep.tick();
    room.clock.advance(2 * 3600);
  }
}

test("logs and artifacts leave first and answer 410, then the job answers 404; nothing is left on disk", async () => {
  const id = await settled();
  room.clock.advance(HOLD);
  await room.upkeep.tick();
  const path = `/v1/jobs/${id}`;
  expect((await room.ask("GET", `${path}/logs/output`, { token: ada })).text).toBe("a log");

  room.clock.advance(15 * DAY);
  await room.upkeep.tick();
  expect(await files()).toEqual([]);
  for (const what of ["logs/output", `artifacts/${sha256("x".repeat(10))}`]) {
    const gone = await room.ask("GET", `${path}/${what}`, { token: ada });
    expect(gone.json).toMatchObject({ type: "urn:testbed:problem:gone" });
  }
  const shown = await room.ask("GET", path, { token: ada });
  expect(shown.json).toMatchObject({ verdict: "passed", filesRemovedAt: expect.any(String) });
  const history = await room.fetch("GET", `${path}/events`, {
    token: ada,
    headers: { accept: "text/event-stream", "last-event-id": "4" },
  });
  expect(await history.text()).toContain("removed after 14 days");

  room.clock.advance(80 * DAY);
  await room.upkeep.tick();
  expect((await room.ask("GET", path, { token: ada })).status).toBe(404);
});

test("a crash between database and disk leaves strays, and the next walk finds them", async () => {
  const id = await settled();
  const kept = await settled();
  room.clock.advance(15 * DAY);
  // What a service does that dies right after the commit.
  const [first] = await room.store.makeRoom(1);
  expect(first).toBe(id);
  await room.stop();
  expect(await files()).toHaveLength(4);
  await mkdir(join(room.folder, "logs", "ff", "f".repeat(16), "1"), { recursive: true });
  await writeFile(join(room.folder, "logs", "ff", "f".repeat(16), "1", "output.log"), "stray");

  room.retention = { ...RETENTION, fileDays: { ...RETENTION.fileDays, passed: 80 } };
  await room.start();
  room.clock.advance(HOLD);
  await tidy();
  expect(await files()).toEqual([sha256("x".repeat(10)), "output.log"]);
  const log = await room.ask("GET", `/v1/jobs/${kept}/logs/output`, { token: ada });
  expect(log.text).toBe("a log");
});

test("beyond the limit the files of the oldest jobs go, until it is kept", async () => {
  await room.stop();
  room.retention = { ...RETENTION, filesBytesMax: 2500 };
  await room.start();
  const ids = [];
  for (let count = 0; count < 4; count += 1) {
    ids.push(await settled(1000));
    room.clock.advance(1);
  }
  await room.upkeep.tick();
  expect(room.upkeep.numbers()).toMatchObject({ filesBytes: 4020, filesBytesMax: 2500 });
  room.clock.advance(HOLD);
  await room.upkeep.tick();
  expect(room.upkeep.numbers()).toMatchObject({ filesBytes: 2010, removedBytes: 2010 });
  const answers = ids.map((id) => room.ask("GET", `/v1/jobs/${id}/logs/output`, { token: ada }));
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  expect(statuses).toEqual([410, 410, 200, 200]);
  const text = await room.ask("GET", "/metrics", { token: await room.token("eve", "viewer") });
  expect(text.text).toContain('testbed_removed_total{kind="files"} 2\n');
  expect(text.text).toContain("testbed_files_limit_bytes 2500\n");
});

test("inputs leave when nobody used them for long, and can be uploaded again", async () => {
  const digest = await upload("an input");
  room.clock.advance(8 * DAY);
  await room.upkeep.tick();
  expect(await files()).toEqual([]);
  expect((await room.ask("HEAD", `/v1/inputs/${digest}`, { token: ada })).status).toBe(404);
  await upload("an input");
  expect((await room.ask("HEAD", `/v1/inputs/${digest}`, { token: ada })).status).toBe(204);
  const inputs = [{ sha256: digest, bytes: 8, kind: "file", to: "/a" }];
  const json = { job: { ...job(), inputs } };
  expect((await room.ask("POST", "/v1/jobs", { token: ada, json })).status).toBe(201);
  room.clock.advance(30 * DAY);
  await tidy();
  expect(await files()).toEqual([digest]);
});

test("uploads that were given up leave, and those that go on stay", async () => {
  const old = await upload("an old input", "an old");
  const fresh = await upload("a new input", "a new");
  const longAgo = new Date(Date.now() - 3 * DAY * 1000);
  await utimes(
    join(room.folder, "inputs", "ada", old.slice(0, 2), `${old}.part`),
    longAgo,
    longAgo,
  );
  room.clock.advance(HOLD);
  await tidy();
  expect(await files()).toEqual([`${fresh}.part`]);
});

test("nothing leaves right after a start, while the clock jumps, or while a backup is made", async () => {
  await settled();
  room.clock.jump(20 * DAY);
  await room.upkeep.tick();
  room.clock.advance(HOLD - 120);
  await room.upkeep.tick();
  expect(await files()).toHaveLength(2);
  room.mayRemove = false;
  room.clock.advance(HOLD);
  await room.upkeep.tick();
  expect(await files()).toHaveLength(2);
  room.mayRemove = true;
  await room.upkeep.tick();
  expect(await files()).toEqual([]);
});
