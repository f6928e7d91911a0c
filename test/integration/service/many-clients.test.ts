import { createHash } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { asking, job, report } from "#test/kit/lease-messages.ts";
import { ServiceRoom } from "#test/kit/service-room.ts";

const FOLLOWERS = 200;
const UPLOADS = 50;
const UPLOAD_BYTES = 2 ** 20;
const PIECES = 20;
const PIECE = "a line of a log\n".repeat(256);

test("the service answers while 200 clients follow a log and 50 artifacts are uploaded", async () => {
  const room = await ServiceRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
  const ada = await room.token("ada", "submitter");
  const lab = await room.token("lab-1", "host");
  const { json } = await room.ask("POST", "/v1/jobs", { token: ada, json: { job: job() } });
  const held = await room.ask("POST", "/v1/leases", { token: lab, json: asking("lab-1") });
  const lease = `/v1/leases/${held.json.lease}`;

  const followers = Array.from({ length: FOLLOWERS }, async () => {
    const answer = await room.fetch("GET", `/v1/jobs/${json.id}/logs/output`, {
      token: ada,
      headers: { accept: "text/event-stream" },
    });
    const text = await answer.text();
    return [...text.matchAll(/"base64":"([^"]*)"/g)]
      .map(([, base64]) => Buffer.from(base64 ?? "", "base64").toString())
      .join("");
  });
  const uploads = Array.from({ length: UPLOADS }, async (_, number) => {
    const bytes = Buffer.alloc(UPLOAD_BYTES, `artifact ${number}`);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const path = `${lease}/artifacts/${sha256}?offset=0&total=${UPLOAD_BYTES}`;
    return (await room.ask("PUT", path, { token: lab, bytes })).headers.get("testbed-complete");
  });
  const slowestMs: number[] = [];
  for (let at = 0; at < PIECES; at += 1) {
    const beganMs = performance.now();
    const path = `${lease}/logs/output?offset=${at * PIECE.length}`;
    await room.ask("PUT", path, { token: lab, bytes: PIECE });
    expect((await room.ask("GET", "/healthz")).status).toBe(200);
    slowestMs.push(performance.now() - beganMs);
  }
  expect(await Promise.all(uploads)).toEqual(Array(UPLOADS).fill("true"));
  const verdict = report({ kind: "passed" });
  await room.ask("POST", `${lease}/verdict`, { token: lab, json: verdict });
  const logs = await Promise.all(followers);
  expect(new Set(logs)).toEqual(new Set([PIECE.repeat(PIECES)]));
  // All clients live in this process, too, and share its time.
  expect(Math.max(...slowestMs)).toBeLessThan(5_000);
  expect(room.bugs).toEqual([]);
});
