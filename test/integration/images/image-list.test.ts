import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { command, PATH } from "#test/kit/command.ts";
import { followRoom } from "#test/kit/follow-room.ts";
import { ROOT } from "#test/kit/house.ts";
import { toyImage } from "#test/kit/toy-versions.ts";

test("`testbed image list` shows what a followed catalogue offers and is not here, until it is", async () => {
  await using room = await followRoom("folder");
  const toy = await toyImage(room.site, "toy", ["2", "1"]);
  await room.publish([{ ...toy, deprecated: { on: "2029-01-31", use: "toy-2" } }]);
  const follows = join(room.path, "images.yaml");
  await writeFile(
    follows,
    `catalogues: [{ path: ${room.site}, keys: ["${room.key.publicLine}"] }]\n`,
  );
  const list = async (...more: string[]) =>
    await command(join(ROOT, "bin/testbed"), ["image", "list", ...more], {
      env: { PATH, HOME: "/root", TESTBED_STATE: room.path, TESTBED_IMAGES: follows },
    });
  const ours = async () =>
    JSON.parse((await list("--json")).stdout).images.filter(
      ({ name }: { name: string }) => name === "toy",
    );

  expect(await list()).toMatchObject({
    exitCode: 0,
    stderr: expect.stringContaining("was not taken yet: run 'testbed image refresh'"),
  });
  await room.refresh();
  const [newest] = toy.versions;
  const shown = await list();
  expect(shown.stderr).toBe("");
  expect(shown.stdout).toMatch(
    new RegExp(`^toy +2 +offered +${newest?.digest.slice(0, 12)} +-`, "m"),
  );
  expect(await ours()).toEqual([
    {
      ...{ name: "toy", version: "2", digest: newest?.digest, means: "offered" },
      ...{ catalogue: "house", deprecation: expect.stringMatching(/2029-01-31; use toy-2$/) },
    },
  ]);
  await room.refresh("toy");
  expect(await ours()).toMatchObject([{ name: "toy", version: "2", means: "current" }]);
});
