import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { claimOf } from "#host/daemon/claim.ts";
import { importImage } from "#host/images/exchange/import-image.ts";
import { recoverStore } from "#host/images/store/recover.ts";
import { matchOffer } from "#service/matching/match-offer.ts";
import { files, quietly } from "#test/kit/exchange-room.ts";
import { faring, followRoom } from "#test/kit/follow-room.ts";
import { toyImage } from "#test/kit/toy-versions.ts";

const inTime = () => AbortSignal.timeout(50_000);

const ROOM = { slots: 1, cpus: 4, memoryMiB: 1024, diskMiB: 10_000 };

async function withAliases(...aliases: readonly string[]) {
  const room = await followRoom();
  const toy = await toyImage(room.site, "toy", ["2", "1"]);
  await room.publish([{ ...toy, aliases: [...aliases] }]);
  await room.refresh();
  return Object.assign(room, { toy });
}

test("a host offers what its names mean, by its catalogue's other names too, and no version that was never proven", async () => {
  await using room = await withAliases("toy-latest", "small");
  expect(await room.images.offered()).toEqual([]);
  await room.resolve("toy:1");
  expect(await room.images.offered()).toEqual([]);
  await room.resolve("small");
  const row = { version: "2", digest: room.toy.versions[0]?.digest, memoryMiBMin: 128 };
  const names = ["toy", "toy-latest", "small"];
  expect(await room.images.offered()).toEqual(names.map((name) => ({ name, ...row })));
  await importImage(
    room.places,
    files(join(room.site, "toy/1/disk"), { name: "small", version: "own" }),
    quietly(),
  );
  expect(await room.images.offered()).toEqual([
    expect.objectContaining({ name: "small", version: "own", memoryMiBMin: 512 }),
    { name: "toy", ...row },
    { name: "toy-latest", ...row },
  ]);
});

test("a job by another name of an image is leased to the host that offers it, and takes its memory", async () => {
  await using room = await withAliases("small");
  await room.resolve("toy");
  const images = (await room.images.offered()).map((image) => ({ ...image }));
  const offer = { host: "h", free: ROOM, capacity: ROOM, labels: [], images };
  const asks = (name: string, more = {}) =>
    matchOffer(
      {
        image: { name, ...more },
        ...{ cpus: 1, memoryMiB: undefined, diskMiB: undefined, labels: [], avoid: [] },
      },
      offer,
    );
  const [two] = room.toy.versions;
  expect(asks("small")).toMatchObject({ name: "small", digest: two?.digest });
  expect(asks("small", { version: "2" })).toMatchObject({ digest: two?.digest });
  expect(asks("small", { version: "1" })).toBe("no-image");
  expect(asks("smaller")).toBe("no-image");
  // The service pins it so, and the host finds it.
  expect(await room.resolve(`small@sha256:${two?.digest}`)).toMatchObject({ name: "toy" });
  const job = { image: "small", steps: [{ name: "s", run: "true" }] };
  const grant = { job: { ...job, inputs: [] } } as unknown as Parameters<typeof claimOf>[0];
  expect(claimOf(grant, images)).toMatchObject({ memoryMiB: 128 });
});

test("a start makes no name mean what was fetched and never proven, or failed; it does what was imported", async () => {
  await using room = await withAliases();
  await room.resolve("toy:1");
  room.trial = faring({ "toy:2": "failed", "toy:1": "skipped" });
  await room.refresh("toy");
  expect(await recoverStore(room.store, inTime())).toEqual([]);
  expect(await room.entry("toy")).toBeUndefined();
  room.trial = faring({});
  await room.refresh("toy");
  const entry = await room.entry("toy");
  await rm(join(room.store, "names/toy.json"));
  expect(await recoverStore(room.store, inTime())).toEqual([
    expect.stringContaining(`it means ${entry?.current.slice(0, 12)}`),
  ]);
  expect(await room.entry("toy")).toMatchObject({ current: entry?.current });
});
