import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { verifyStore } from "#host/images/store/verify.ts";
import { startBareDaemon } from "#test/kit/bare-daemon.ts";
import { eventually } from "#test/kit/eventually.ts";
import { toyCatalogue } from "#test/kit/toy-recipes.ts";

const START_MS = 30_000;
const inTime = () => AbortSignal.timeout(START_MS);
const silently = () => undefined;

test("a daemon's start puts right what kills and hands did to its images, and says so", async () => {
  await using toys = await toyCatalogue();
  await toys.recipe("toy");
  await toys.recipe("lost");
  const toy = await toys.images.resolve("toy", silently, inTime());
  const lost = await toys.images.resolve("lost", silently, inTime());
  await rm(join(toys.store, lost.digest), { recursive: true });
  await mkdir(join(toys.store, "building/toy.0badcafe"), { recursive: true });
  await mkdir(join(toys.store, `removing/${"0".repeat(64)}.0badcafe`), { recursive: true });
  const said = await saidUntil(
    toys.path,
    (words) => words.match(/the image store was put in order/g)?.length === 3,
  );
  expect(said).toContain("building/toy.0badcafe: a build that was killed, removed");
  expect(said).toContain("an image on its way out, gone now");
  expect(said).toContain("names/lost.json: 1 of its images are not there; nothing is left of it");
  for (const folder of ["building", "removing"])
    expect(await readdir(join(toys.store, folder))).toEqual([]);
  expect(await verifyStore(toys.store, undefined, { onBytes: silently, signal: inTime() })).toEqual(
    [],
  );
  expect(await toys.images.resolve("toy", silently, inTime())).toEqual(toy);
  expect(await toys.images.resolve("lost", silently, inTime())).toMatchObject({ name: "lost" });
});

/** What a daemon says from its start until that is enough; then it is killed. */
async function saidUntil(state: string, isEnough: (said: string) => boolean): Promise<string> {
  await using daemon = await startBareDaemon(state);
  await eventually(() => isEnough(daemon.said()), START_MS);
  return daemon.said();
}
