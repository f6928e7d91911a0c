import { cp, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { createServer, request as forward } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { Grant } from "#protocol/lease.ts";
import { PROTOCOL_VERSION } from "#protocol/version.ts";
import { DaemonRoom } from "#test/kit/daemon-room.ts";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT } from "#test/kit/house.ts";
import { asking } from "#test/kit/lease-messages.ts";
import { PAPER_IMAGE } from "#test/kit/orders.ts";

let room: DaemonRoom;
beforeEach(async () => {
  room = await DaemonRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
});

/** A host's state folder as a released testbed left it when it was stopped in a step of this attempt. */
async function stateOf(version: string, host: string, grant: Grant): Promise<void> {
  const state = room.stateOf(host);
  await mkdir(join(state, ".."), { recursive: true });
  await cp(join(ROOT, "test/fixtures/state", version), state, { recursive: true });
  const attempt = join(state, "attempts", `${grant.jobId}-${grant.attempt}`);
  await rename(join(state, "attempts", "JOB-1"), attempt);
  const path = join(attempt, "grant.json");
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace('"GRANT"', JSON.stringify(grant)));
}

test("what testbed 0.1.0 left, which kept no journal, is settled with what came home, and the job is tried again", async () => {
  const job = await room.submit(["echo begun"], { attempts: 1 });
  const images = [{ name: PAPER_IMAGE.name, version: "1", digest: PAPER_IMAGE.digest }];
  const grant = await room.lease("lab-1", asking("lab-1", { images }));
  await stateOf("0.1.0", "lab-1", grant);
  await room.start("lab-1");
  const detail = await room.settled(job);
  expect(detail.attemptList.map(({ verdict }) => verdict)).toMatchObject([
    { kind: "broken", fault: { code: "host-restarted", message: expect.stringMatching("older") } },
    { kind: "passed" },
  ]);
  const first = await room.ask("GET", `/v1/jobs/${job}/logs/step-1?attempt=1`);
  expect(first.text).toBe("begun\n");
  expect(await readFile(join(room.stateOf("lab-1"), "format"), "utf8")).toBe("1\n");
});

/** Before a service: whoever asks in our version of the protocol is taken to ask in another one, while `isOther`. */
async function otherVersion(service: string, version: number) {
  const state = { isOther: true };
  const { port: to } = new URL(service);
  const server = createServer((request, reply) => {
    const { method, url = "", headers } = request;
    const ours = new RegExp(`^/v${PROTOCOL_VERSION}/`);
    const path = state.isOther ? url.replace(ours, `/v${version}/`) : url;
    const asked = forward({ port: to, host: "127.0.0.1", method, path, headers }, (answer) => {
      reply.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(reply);
    });
    asked.on("error", () => reply.destroy());
    reply.on("close", () => asked.destroy());
    request.pipe(asked);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });
  return { state, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test.for([
  ["newer", PROTOCOL_VERSION + 1, "upgrade this service"],
  ["older", PROTOCOL_VERSION - 1, "upgrade whoever asks"],
] as const)(
  "a daemon of a %s protocol is told so, says it, and works as soon as both are of one version",
  async ([, version, advice]) => {
    const { state, url } = await otherVersion(room.service.url, version);
    const paper = await room.start("lab-1", { url });
    await eventually(async () => {
      const { serviceTrouble = "" } = await paper.daemon.status();
      return serviceTrouble.includes(advice) && serviceTrouble.includes(`version ${version}`);
    }, 5_000);
    const job = await room.submit(["true"]);
    expect((await room.show(job)).state).toBe("queued");
    state.isOther = false;
    expect((await room.settled(job)).verdict).toBe("passed");
  },
);
