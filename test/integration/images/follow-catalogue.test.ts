import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readOffers } from "#host/images/follow/offers.ts";
import { openSource } from "#host/images/follow/source.ts";
import { localImages } from "#host/images/local-images.ts";
import { type FollowRoom, followRoom } from "#test/kit/follow-room.ts";
import { minisignKey } from "#test/kit/minisign-key.ts";
import { toyImage } from "#test/kit/toy-versions.ts";

const silently = () => undefined;
const quietly = { onProgress: silently, onBytes: silently };
const inTime = () => AbortSignal.timeout(50_000);

const SIGNATURE = "catalogue.json.minisig";

/** A room whose host has taken the catalogue's third version, and has `toy:1` of it. */
async function taken(kind: "https" | "folder") {
  const room = await followRoom(kind);
  await room.publish([await toyImage(room.site, "toy", ["1"])], { version: 3 });
  expect(await room.refresh("toy")).toMatchObject({ catalogues: [{ outcome: "new", version: 3 }] });
  return room;
}

async function sign({ site, key }: FollowRoom, by = key): Promise<void> {
  const text = await readFile(join(site, "catalogue.json"));
  await writeFile(join(site, SIGNATURE), by.sign(text));
}

describe.each(["https", "folder"] as const)("a catalogue by %s", (kind) => {
  test("that is signed is taken, and what it has is resolved", async () => {
    await using room = await taken(kind);
    expect(await room.refresh()).toMatchObject({
      catalogues: [{ outcome: "unchanged", name: "house", version: 3 }],
      images: [{ name: "toy", outcome: "unchanged" }],
      troubles: [],
    });
    expect(await room.resolve("toy")).toMatchObject({ name: "toy", version: "1" });
    await room.publish([await toyImage(room.site, "toy", ["2", "1"])]);
    expect(await room.refresh()).toMatchObject({
      catalogues: [{ outcome: "new", version: 4 }],
      images: [{ name: "toy", outcome: "switched", says: "means version 2 now" }],
    });
    expect(await room.resolve("toy")).toMatchObject({ version: "2" });
  });

  test.each<readonly [string, string, string, (room: FollowRoom) => Promise<unknown>]>([
    ["is not signed", "refused", "is not signed", ({ site }) => rm(join(site, SIGNATURE))],
    ["is signed by another", "refused", "key", (room) => sign(room, minisignKey())],
    [
      "is altered",
      "refused",
      "signature",
      async ({ site }) => {
        const path = join(site, "catalogue.json");
        await writeFile(path, (await readFile(path, "utf8")).replace("The image", "An image"));
      },
    ],
    [
      "has expired",
      "refused",
      "has expired",
      (room) => room.publish([], { expires: "2020-01-01T00:00:00Z" }),
    ],
    ["is older", "refused", "(a rollback)", (room) => room.publish([], { version: 2 })],
    [
      "is another of its version",
      "refused",
      "with other content",
      (room) => room.publish([], { version: 3 }),
    ],
    ["has another name", "refused", "called 'barn'", (room) => room.publish([], { name: "barn" })],
    [
      "is no document",
      "refused",
      "the catalogue",
      async (room) => {
        await writeFile(join(room.site, "catalogue.json"), "{");
        await sign(room);
      },
    ],
    [
      "has a long signature",
      "refused",
      "longer than 16384 bytes",
      ({ site }) => writeFile(join(site, SIGNATURE), "x".repeat(16_385)),
    ],
    [
      "is not there",
      "unreachable",
      "catalogue.json",
      ({ site }) => rm(join(site, "catalogue.json")),
    ],
  ])("that %s is not taken: what was taken before stays", async (_, outcome, why, spoil) => {
    await using room = await taken(kind);
    await spoil(room);
    const report = await room.refresh();
    expect(report).toMatchObject({
      catalogues: [{ outcome, why: expect.stringContaining(why) }],
      images: [{ name: "toy", outcome: "unchanged" }],
      troubles: [],
    });
    expect(await room.resolve("toy:1")).toMatchObject({ version: "1" });
    await room.publish([await toyImage(room.site, "toy", ["2", "1"])], { version: 5 });
    expect(await room.refresh()).toMatchObject({ catalogues: [{ outcome: "new", version: 5 }] });
  });
});

test("a catalogue whose server is away is said to be, and what was taken before stays", async () => {
  await using room = await taken("https");
  room.answers.set("/catalogue.json", (request) => request.socket.destroy());
  expect(await room.refresh()).toMatchObject({
    catalogues: [{ outcome: "unreachable" }],
    images: [{ outcome: "unchanged" }],
  });
});

test("a catalogue that nobody signs is taken where the admin allows it", async () => {
  await using room = await followRoom();
  await room.publish([await toyImage(room.site, "toy", ["1"])]);
  await rm(join(room.site, SIGNATURE));
  expect(await room.refresh()).toMatchObject({ catalogues: [{ outcome: "refused" }] });
  const source = openSource({ ...room.settings, keys: [], allowUnsigned: true });
  const images = localImages({ ...room.places, sources: [source] });
  expect(await images.refresh([], quietly, inTime())).toMatchObject({
    catalogues: [{ outcome: "new", signedBy: undefined }],
  });
});

test("a catalogue that is signed anew by another key goes on when the first one is no longer trusted", async () => {
  await using room = await taken("https");
  const key = minisignKey();
  await sign(room, key);
  const source = openSource({ ...room.settings, keys: [key.publicLine] });
  const images = localImages({ ...room.places, sources: [source] });
  const before = await images.resolve("toy", silently, inTime());
  expect(await images.refresh([], quietly, inTime())).toMatchObject({
    catalogues: [{ outcome: "unchanged" }],
    images: [{ name: "toy", outcome: "unchanged" }],
    troubles: [],
  });
  expect(await images.resolve("toy", silently, inTime())).toEqual(before);
});

test("a catalogue that expired after it was taken offers nothing new, and its images go on working", async () => {
  await using room = await followRoom();
  const soon = new Date(Date.now() + 3600_000).toISOString().replace(/\.\d+Z/, "Z");
  await room.publish([await toyImage(room.site, "toy", ["2", "1"])], { expires: soon });
  await room.refresh("toy");
  const { store, sources = [] } = room.places;
  const now = await readOffers(store, sources);
  expect(now.find("toy")).toBeDefined();
  const later = await readOffers(store, sources, Date.now() + 2 * 3600_000);
  expect(later.find("toy")).toBeUndefined();
  expect(later.troubles).toEqual([expect.stringContaining("has expired")]);
  const images = localImages({ ...room.places, sources: [] });
  expect(await images.resolve("toy", silently, inTime())).toMatchObject({ version: "2" });
});
