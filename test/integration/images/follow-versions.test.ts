import { describe, expect, test } from "vitest";
import { prune } from "#host/images/store/prune.ts";
import { type FollowRoom, faring, followRoom } from "#test/kit/follow-room.ts";
import { toyImage, withdrawing } from "#test/kit/toy-versions.ts";

const silently = () => undefined;
const inTime = () => AbortSignal.timeout(50_000);

/** What a refresh said of the only image. */
async function refreshed(room: FollowRoom) {
  return (await room.refresh("toy")).images[0];
}

/** The version that the bare name means. */
async function means({ images }: FollowRoom): Promise<string> {
  return (await images.resolve("toy", silently, inTime())).version;
}

/** A room that has `toy:1`, and whose catalogue has gone on to these versions. */
async function withOne(...versions: readonly string[]) {
  const room = await followRoom();
  const one = await toyImage(room.site, "toy", ["1"]);
  await room.publish([one]);
  await room.refresh("toy");
  const all = await toyImage(room.site, "toy", [...versions, "1"]);
  await room.publish([all]);
  return Object.assign(room, { all });
}

describe("a refresh", () => {
  test("fetches what is wanted, inspects it, tries it out, and only then its name means it", async () => {
    await using room = await followRoom();
    await room.publish([
      await toyImage(room.site, "toy", ["2", "1"]),
      await toyImage(room.site, "other", ["1"]),
    ]);
    expect(await room.refresh()).toMatchObject({ images: [] });
    let meant: unknown = "nothing yet";
    room.trial = async () => {
      meant = await room.entry("toy");
      return { kind: "passed", acceleration: "kvm" };
    };
    expect(await refreshed(room)).toMatchObject({
      outcome: "switched",
      says: "means version 2 now",
    });
    expect(meant).toBeUndefined();
    expect(room.lines).toEqual([
      `asking ${room.settings.url}`,
      ...[`asking ${room.settings.url}`, "image toy: fetching disk.qcow2"],
      ...["image toy: inspecting", "image toy: smoke boot"],
    ]);
    expect(await means(room)).toBe("2");
    expect(room.asked()).toEqual({ "/toy/2/disk": 1 });
    expect(await refreshed(room)).toMatchObject({ outcome: "unchanged" });
    expect(room.tried).toEqual(["toy:2"]);
    expect(await room.refresh("nothing")).toMatchObject({
      images: [
        { name: "nothing", outcome: "failed", says: expect.stringContaining("no catalogue") },
        { name: "toy", outcome: "unchanged" },
      ],
    });
  });

  test("leaves the older one where the newest fails its smoke boot, which is remembered", async () => {
    await using room = await withOne("2");
    room.trial = faring({ "toy:2": "failed" });
    const says = "means version 1; 2 failed its smoke boot: its kernel panics";
    expect(await refreshed(room)).toMatchObject({ outcome: "unchanged", says });
    expect(await refreshed(room)).toMatchObject({ outcome: "unchanged", says });
    expect(room.tried).toEqual(["toy:1", "toy:2"]);
    expect(await means(room)).toBe("1");
    await room.publish([await toyImage(room.site, "toy", ["3", "2", "1"])]);
    expect(await refreshed(room)).toMatchObject({
      outcome: "switched",
      says: "means version 3 now",
    });
    expect(await room.entry("toy")).toMatchObject({ previous: room.all.versions[1]?.digest });
  });

  test("takes an older one where the newest fails and none was meant", async () => {
    await using room = await followRoom();
    await room.publish([await toyImage(room.site, "toy", ["3", "2", "1"])]);
    room.trial = faring({ "toy:3": "failed" });
    expect(await refreshed(room)).toMatchObject({
      outcome: "switched",
      says: "means version 2 now; 3 failed its smoke boot: its kernel panics",
    });
    expect(room.asked()).toEqual({ "/toy/3/disk": 1, "/toy/2/disk": 1 });
    expect(await means(room)).toBe("2");
  });

  test("changes nothing where a host could not try it out, and tries it the next time", async () => {
    await using room = await withOne("2");
    room.trial = faring({ "toy:2": "skipped" });
    expect(await refreshed(room)).toMatchObject({
      outcome: "skipped",
      says: "2 could not be tried out: the host is full",
    });
    expect(await means(room)).toBe("1");
    room.trial = faring({});
    expect(await refreshed(room)).toMatchObject({ outcome: "switched" });
    expect(await means(room)).toBe("2");
    expect(room.tried).toEqual(["toy:1", "toy:2", "toy:2"]);
    expect(room.asked()["/toy/2/disk"]).toBe(1);
  });

  test("goes back to the newest other one where the current one is withdrawn", async () => {
    await using room = await withOne("3", "2");
    await refreshed(room);
    expect(await means(room)).toBe("3");
    await room.publish([withdrawing(room.all, "3")]);
    expect(await refreshed(room)).toMatchObject({
      outcome: "switched",
      says: "means version 2 now",
    });
    expect(await means(room)).toBe("2");
    // Of which it has been told, and which is here.
    expect(await room.resolve("toy:3")).toMatchObject({ version: "3" });
    expect(room.lines.at(-1)).toBe("image toy:3 is withdrawn: it eats data");
  });

  test("says so where all of an image is withdrawn or has failed, and its name means what it meant", async () => {
    await using room = await withOne("3", "2");
    room.trial = faring({ "toy:3": "failed" });
    await room.publish([withdrawing(room.all, "2", "1")]);
    const none = "no version is good here: 3 failed its smoke boot: its kernel panics; 2 withdrawn";
    expect(await refreshed(room)).toMatchObject({ outcome: "failed", says: none });
    expect(await room.resolve("toy")).toMatchObject({ version: "1" });
    expect(room.lines.at(-1)).toBe("image toy:1 is withdrawn: it eats data");
  });

  test("goes on to the next image where one is in trouble", async () => {
    await using room = await followRoom();
    await room.publish([
      await toyImage(room.site, "bad", ["1"]),
      await toyImage(room.site, "toy", ["1"]),
    ]);
    room.answers.set("/bad/1/disk", (_request, reply) => reply.writeHead(403).end());
    expect(await room.refresh("bad", "toy")).toMatchObject({
      images: [
        { name: "bad", outcome: "failed", says: expect.stringContaining("answers 403") },
        { name: "toy", outcome: "switched" },
      ],
    });
  });

  test("and a prune after it keep what the name means, what it meant, and what is held", async () => {
    await using room = await withOne("4", "3", "2");
    await refreshed(room);
    const hold = await room.images.hold(await room.resolve("toy:2"), inTime());
    await room.resolve("toy:3");
    const rules = { nowMs: Date.now() + 3600_000, olderThanMs: 0, keep: 0, budgetBytes: 0 };
    const pruned = await prune(
      room.places,
      { ...rules, pinned: new Set() },
      { onRemoved: silently, signal: inTime() },
    );
    const why = pruned.decisions.map(({ image, goes, why }) => [
      image.manifest?.version,
      goes ? "goes" : why,
    ]);
    expect(Object.fromEntries(why)).toEqual({
      "1": "previous of toy, kept to fall back to",
      "2": "held by a running attempt",
      "3": "goes",
      "4": "current of toy",
    });
    await hold?.[Symbol.asyncDispose]();
    expect(await refreshed(room)).toMatchObject({ outcome: "unchanged" });
  });

  test("does not fetch again what failed and was pruned", async () => {
    await using room = await withOne("2");
    room.trial = faring({ "toy:2": "failed" });
    await refreshed(room);
    const rules = { nowMs: Date.now() + 3600_000, olderThanMs: 0, keep: 0, budgetBytes: 0 };
    const removed: unknown[] = [];
    await prune(
      room.places,
      { ...rules, pinned: new Set() },
      { onRemoved: ({ image }) => removed.push(image.manifest?.version), signal: inTime() },
    );
    expect(removed).toEqual(["2"]);
    expect(await refreshed(room)).toMatchObject({ outcome: "unchanged" });
    expect(room.asked()["/toy/2/disk"]).toBe(1);
  });
});

describe("a fetch", () => {
  const fetch = (room: FollowRoom, reference: string) => {
    const onProgress = (line: string) => void room.lines.push(line);
    return room.images.fetch(reference, { onProgress, onBytes: silently }, inTime());
  };

  test("asks the catalogues for what they have now, tries nothing out, and names mean what they meant", async () => {
    await using room = await withOne("3", "2");
    expect(await fetch(room, "toy:2")).toMatchObject({ version: "2" });
    expect(await fetch(room, "toy")).toMatchObject({ version: "3" });
    expect(room.tried).toEqual(["toy:1"]);
    expect(await means(room)).toBe("1");
    expect(room.asked()).toEqual({ "/toy/1/disk": 1, "/toy/2/disk": 1, "/toy/3/disk": 1 });
  });

  test("of a host's first image needs no refresh before", async () => {
    await using room = await followRoom();
    await room.publish([await toyImage(room.site, "toy", ["1"])]);
    expect(await fetch(room, "toy")).toMatchObject({ version: "1" });
    expect(await room.entry("toy")).toBeUndefined();
  });

  test("goes by what was taken before where a catalogue is refused, and says so", async () => {
    await using room = await withOne("2");
    room.answers.set("/catalogue.json.minisig", (_request, reply) => reply.writeHead(404).end());
    await expect(fetch(room, "toy:2")).rejects.toThrow("versions here: 1");
    expect(room.lines).toContain("refused: the catalogue is not signed");
    room.answers.clear();
    expect(await fetch(room, "toy:2")).toMatchObject({ version: "2" });
  });
});

describe("a smoke boot", () => {
  const smoke = (room: FollowRoom, reference = "toy") =>
    room.images.smoke(reference, silently, inTime());

  test("of what a name means, when it fails, has the name mean again what it meant", async () => {
    await using room = await withOne("2");
    await refreshed(room);
    expect(await smoke(room)).toMatchObject({ outcome: { kind: "passed" }, means: "unchanged" });
    room.trial = faring({ "toy:2": "failed" });
    expect(await smoke(room)).toMatchObject({
      image: { version: "2" },
      outcome: { kind: "failed", why: "its kernel panics" },
      means: "fell back",
    });
    expect(await means(room)).toBe("1");
    expect(await refreshed(room)).toMatchObject({ outcome: "unchanged" });
    room.trial = faring({ "toy:1": "failed" });
    expect(await smoke(room)).toMatchObject({ means: "stuck" });
    expect(await means(room)).toBe("1");
    expect(await smoke(room, "toy:2")).toMatchObject({ means: "switched" });
    expect(await means(room)).toBe("2");
  });

  test("of an older version that is good, or of one that is withdrawn, changes nothing; of a newer one does", async () => {
    await using room = await withOne("3", "2");
    room.trial = faring({ "toy:3": "skipped", "toy:2": "failed" });
    await refreshed(room);
    room.trial = faring({});
    expect(await smoke(room, "toy:2")).toMatchObject({ means: "switched" });
    expect(await smoke(room, "toy:1")).toMatchObject({ means: "unchanged" });
    await room.publish([withdrawing(room.all, "3")]);
    await room.refresh();
    expect(await smoke(room, "toy:3")).toMatchObject({ means: "unchanged" });
    expect(await means(room)).toBe("2");
  });

  test("that could not be made changes nothing", async () => {
    await using room = await withOne();
    room.trial = faring({ "toy:1": "skipped" });
    expect(await smoke(room)).toMatchObject({ outcome: { kind: "skipped" }, means: "unchanged" });
    room.trial = faring({ "toy:1": "failed" });
    expect(await smoke(room)).toMatchObject({ outcome: { kind: "failed" }, means: "stuck" });
    expect(await means(room)).toBe("1");
  });
});
