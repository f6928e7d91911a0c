import { join } from "node:path";
import { expect, test } from "vitest";
import { errorSchema } from "#cli/error-schema.ts";
import { compileSchema } from "#lib/validate.ts";
import { hostListSchema, hostSchema } from "#protocol/host-view.ts";
import {
  artifactListSchema,
  eventListSchema,
  jobDetailSchema,
  jobListSchema,
} from "#protocol/job-view.ts";
import { submitReplySchema } from "#protocol/submit.ts";
import { tokenListSchema } from "#protocol/token.ts";
import { ClientDesk } from "#test/kit/client-desk.ts";

/** Commands that ask a service, with what makes each fail. */
const FAILING = [
  ["submit", "job.yaml"],
  ["jobs"],
  ["job", "00000000000000ff"],
  ["cancel", "00000000000000ff"],
  ["artifacts", "00000000000000ff"],
  ["hosts"],
  ["drain", "lab-1"],
  ["resume", "lab-1"],
  ["token", "list"],
  ["token", "create", "bob", "--role", "viewer"],
  ["token", "revoke", "00000000"],
] as const;

test("every answer is the wire's JSON, one object", async () => {
  await using desk = await ClientDesk.open();
  await desk.role("admin");
  const host = await desk.host();
  const file = await desk.job();
  const submitted = await desk.json("submit", file);
  const { jobId } = await host.take();
  const artifact = await host.deliver("out", "x");
  await host.settle({ kind: "passed" }, { artifacts: [artifact] });
  const { events, ...job } = await desk.json("job", jobId);
  const cancelled = await desk.json("cancel", jobId);
  const to = join(desk.home, "out");
  const { folder, artifacts } = await desk.json("artifacts", jobId, "--to", to);
  const answers: readonly (readonly [object, unknown])[] = [
    [submitReplySchema, submitted],
    [jobListSchema, await desk.json("jobs")],
    [jobDetailSchema, job],
    [eventListSchema, { events }],
    [jobDetailSchema, cancelled.jobs[0]],
    [artifactListSchema, await desk.json("artifacts", jobId)],
    [hostListSchema, await desk.json("hosts")],
    [hostSchema, await desk.json("hosts", "lab-1")],
    [hostListSchema, await desk.json("drain", "lab-1")],
    [hostListSchema, await desk.json("resume", "lab-1")],
    [tokenListSchema, await desk.json("token", "list")],
  ];
  for (const [schema, answer] of answers) expect(compileSchema(schema)(answer)).toEqual([]);
  expect({ folder, artifacts }).toEqual({
    folder: to,
    artifacts: [{ ...artifact, state: "fetched" }],
  });
});

test("every command that has no answer says why by the error schema, with status 3 when nobody is there", async () => {
  await using desk = await ClientDesk.open();
  await desk.job();
  await desk.room.stop();
  for (const [command, ...args] of FAILING) {
    const words = args.map((word) => (word === "job.yaml" ? join(desk.home, word) : word));
    const ran = await desk.run(command, ...words, "--json");
    const error = JSON.parse(ran.stdout);
    expect([command, compileSchema(errorSchema)(error)]).toEqual([command, []]);
    expect([command, ran.exitCode, error.error.exitCode]).toEqual([command, 3, 3]);
    expect(error.error.message).toContain("context lab");
  }
});
