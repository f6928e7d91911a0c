import { appendFile, chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { askSocket } from "#test/kit/ask-socket.ts";
import { startBareDaemon } from "#test/kit/bare-daemon.ts";
import { eventually } from "#test/kit/eventually.ts";
import { toyCatalogue } from "#test/kit/toy-recipes.ts";

const START_MS = 30_000;
const inTime = () => AbortSignal.timeout(START_MS);
const silently = () => undefined;

test("whoever may use the daemon's socket looks after its images there", async () => {
  await using toys = await toyCatalogue();
  await toys.recipe("toy");
  const { digest, disk } = await toys.images.resolve("toy", silently, inTime());
  const follows = join(toys.path, "images.yaml");
  await writeFile(
    follows,
    `catalogues: [{ path: ${toys.path}/nowhere, allowUnsigned: true }]\nrefresh: { schedule: off }\n`,
  );
  await using daemon = await startBareDaemon(toys.path, {
    TESTBED_CATALOGUE: toys.recipes,
    TESTBED_IMAGES: follows,
  });
  await eventually(() => daemon.said().includes("ready"), START_MS);
  const get = (path: string) => askSocket(daemon.socket, ["GET", `/v1/images${path}`]);
  const post = (path: string, body: object) =>
    askSocket(daemon.socket, ["POST", `/v1/images/${path}`], JSON.stringify(body));

  const toy = { name: "toy", version: "1", digest, means: "current" };
  expect(await get("/stored")).toMatchObject({ status: 200, json: { images: [toy] } });
  expect(await post("show", { image: "toy" })).toMatchObject({ status: 200, json: toy });
  expect(await post("show", { image: "toi" })).toMatchObject({
    status: 422,
    json: { detail: expect.stringContaining("did you mean 'toy'?") },
  });
  expect(await post("fetch", { image: "toi" })).toMatchObject({
    status: 422,
    json: { detail: expect.stringContaining("no catalogue that this host follows offers it") },
  });
  // Without libvirt the host cannot try anything out, and what a recipe's name means does not depend on it.
  expect(await post("smoke", { image: "toy" })).toMatchObject({
    status: 200,
    json: { digest, kind: "skipped", means: "unchanged", why: expect.stringMatching(/not ready/) },
  });
  expect(await post("refresh", { images: ["wanted"] })).toMatchObject({
    status: 200,
    json: {
      catalogues: [{ outcome: "unreachable", why: expect.stringContaining("is not there") }],
      images: [{ name: "wanted", outcome: "failed" }],
    },
  });
  expect(await post("prune", { dryRun: true })).toMatchObject({
    status: 200,
    json: { images: [{ digest, goes: false, why: "current of toy" }], freedBytes: 0 },
  });
  expect(await post("verify", {})).toMatchObject({ status: 200, json: { damages: [] } });
  await chmod(disk.path, 0o644);
  await appendFile(disk.path, "x");
  expect(await post("verify", { images: ["toy"] })).toMatchObject({
    status: 200,
    json: { damages: [{ path: expect.stringContaining("disk.qcow2") }, {}], repaired: [] },
  });
});
