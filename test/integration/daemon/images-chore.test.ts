import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { imagesChore } from "#cli/daemon/images-chore.ts";
import { checkConfigText } from "#config/config-file.ts";
import { imagesConfigSchema } from "#config/images-config.ts";
import { followRoom } from "#test/kit/follow-room.ts";
import { saidLog } from "#test/kit/said-log.ts";
import { toyImage } from "#test/kit/toy-versions.ts";

const configOf = (text: string) => checkConfigText("images.yaml", text, imagesConfigSchema);
const inTime = () => AbortSignal.timeout(50_000);

test("each night new versions are brought, tried out and meant, and what nobody needs leaves", async () => {
  await using room = await followRoom();
  const { log } = saidLog();
  const config = configOf("refresh: { images: [toy], timeZone: UTC }\nprune: { versions: 1 }");
  const chore = imagesChore(room, config, log) ?? expect.fail("there is no chore");
  const run = () => chore.run(inTime());
  const image = await toyImage(room.site, "toy", ["3", "2", "1"]);
  const upTo = async (...versions: string[]) =>
    await room.publish([
      { ...image, versions: image.versions.filter(({ version }) => versions.includes(version)) },
    ]);

  await upTo("1");
  expect(await run()).toMatchObject({
    isNews: true,
    fields: { switched: [expect.stringContaining("toy")], failed: [], removed: [] },
  });
  expect(await run()).toMatchObject({ isNews: false });

  await upTo("2", "1");
  await run();
  room.trial = () => ({ kind: "failed", acceleration: "tcg", why: "it never spoke" });
  await upTo("3", "2", "1");
  expect(await run()).toMatchObject({
    isNews: true,
    fields: {
      switched: [],
      failed: ["toy 3 failed its smoke boot: it never spoke"],
      removed: [],
    },
  });
  expect(await run()).toMatchObject({ isNews: false });
  expect((await room.entry("toy"))?.current).toBe(image.versions[1]?.digest);
  expect(room.tried).toEqual(["toy:1", "toy:2", "toy:3"]);

  const [failed] = image.versions;
  for (const path of [failed?.digest ?? "", join("facts", failed?.digest ?? "", "used")])
    await utimes(join(room.store, path), 1e9, 1e9).catch(() => undefined);
  expect(await run()).toMatchObject({
    isNews: true,
    fields: { removed: [failed?.digest], freedBytes: expect.any(Number) },
  });
  expect(room.tried).toHaveLength(3);
  expect(await room.resolve("toy")).toMatchObject({ version: "2" });
});

test("a host that says off follows nothing by itself", async () => {
  await using room = await followRoom();
  expect(imagesChore(room, configOf("refresh: { schedule: off }"), saidLog().log)).toBeUndefined();
});
