import { existsSync } from "node:fs";
import { cp, mkdir, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readEntry } from "#host/images/store/entry.ts";
import { holdImage, takeStoreLock } from "#host/images/store/holds.ts";
import { takeInventory } from "#host/images/store/inventory.ts";
import { prune } from "#host/images/store/prune.ts";
import type { PruneRules } from "#host/images/store/prune-rules.ts";
import { recoverStore } from "#host/images/store/recover.ts";
import { setAside } from "#host/images/store/removal.ts";
import { verifyStore } from "#host/images/store/verify.ts";
import type { Image } from "#host/runner/ports.ts";
import { FileLock } from "#lib/file-lock.ts";
import { toyChild } from "#test/kit/toy-child.ts";
import { type ToyCatalogue, toyCatalogue } from "#test/kit/toy-recipes.ts";

const inTime = () => AbortSignal.timeout(50_000);
const silently = () => undefined;
const DAY_MS = 24 * 3600_000;
const STORM_HOLDS = 15;

function everything(more: Partial<PruneRules> = {}): PruneRules {
  const nowMs = Date.now() + DAY_MS;
  return { nowMs, olderThanMs: 0, budgetBytes: undefined, keep: 0, pinned: new Set(), ...more };
}

/** Images `toy:1` up to `toy:<count>`, the oldest first. */
async function versions(toys: ToyCatalogue, count: number): Promise<readonly Image[]> {
  const images: Image[] = [];
  for (let version = 1; version <= count; version += 1) {
    await toys.recipe("toy", {
      version: String(version),
      script: `echo ${version} >> "$1/initrd"`,
    });
    images.push(await toys.images.resolve("toy", silently, inTime()));
  }
  return images;
}

async function pruned(
  toys: ToyCatalogue,
  rules = everything(),
  listDisks = async () => disks(toys),
) {
  const onRemoved = silently;
  const place = { store: toys.store, listDisks };
  const { decisions } = await prune(place, rules, { onRemoved, signal: inTime() });
  return Object.fromEntries(
    decisions.map(({ image, goes, why }) => [image.digest, goes ? "goes" : why]),
  );
}

/** Every overlay that a test made. */
async function disks(toys: ToyCatalogue) {
  const names = (await readdir(toys.path)).filter((name) => name.endsWith(".overlay"));
  return names.map((machine) => ({ machine, path: join(toys.path, machine) }));
}

async function digestsIn(toys: ToyCatalogue): Promise<string[]> {
  return (await takeInventory({ store: toys.store })).map(({ digest }) => digest).sort();
}

describe("a prune", () => {
  test("removes what nothing keeps, and names forget it", async () => {
    await using toys = await toyCatalogue();
    const [one, two, three] = (await versions(toys, 3)) as [Image, Image, Image];
    const told = await pruned(toys);
    expect(told).toEqual({
      [one.digest]: "goes",
      [two.digest]: "previous of toy, kept to fall back to",
      [three.digest]: "current of toy",
    });
    expect(await digestsIn(toys)).toEqual([two.digest, three.digest].sort());
    expect(await readEntry(toys.store, "toy")).toMatchObject({
      current: three.digest,
      previous: two.digest,
      versions: { "2": two.digest, "3": three.digest },
    });
    expect(await readdir(join(toys.store, "removing"))).toEqual([]);
    expect(await readdir(join(toys.store, "facts"))).not.toContain(one.digest);
    expect(
      await verifyStore(toys.store, undefined, { onBytes: silently, signal: inTime() }),
    ).toEqual([]);
  });

  test("leaves what is held until it is given back", async () => {
    await using toys = await toyCatalogue();
    const [one] = (await versions(toys, 3)) as [Image, Image, Image];
    const hold = await toys.images.hold(one, inTime());
    expect((await pruned(toys))[one.digest]).toBe("held by a running attempt");
    await hold?.[Symbol.asyncDispose]();
    expect((await pruned(toys))[one.digest]).toBe("goes");
  });

  test("leaves what is held by a process until that is killed", async () => {
    await using toys = await toyCatalogue();
    const [one] = (await versions(toys, 3)) as [Image, Image, Image];
    await using child = toyChild(HOLDER, [toys.store, one.digest]);
    await child.says("held");
    expect((await pruned(toys))[one.digest]).toBe("held by a running attempt");
    await child.kill();
    expect((await pruned(toys))[one.digest]).toBe("goes");
    expect(await recoverStore(toys.store, inTime())).toEqual([
      "holds: 1 of processes that died, removed",
    ]);
    expect(await readdir(join(toys.store, "holds"))).toEqual(["prune.lock"]);
  });

  test("leaves what a machine's disk stands on, running or not, until the disk is gone", async () => {
    await using toys = await toyCatalogue();
    const [one] = (await versions(toys, 3)) as [Image, Image, Image];
    const path = join(toys.path, "m-1.overlay");
    await toys.images.overlay(one, path, undefined, inTime());
    await writeFile(join(toys.path, "half.overlay"), "QFI");
    expect((await pruned(toys))[one.digest]).toBe("disk of machine m-1.overlay");
    await rm(path);
    expect((await pruned(toys))[one.digest]).toBe("goes");
  });

  test("that is tried again sees that a job began meanwhile", async () => {
    await using toys = await toyCatalogue();
    const [one] = (await versions(toys, 3)) as [Image, Image, Image];
    // The disk appears after it was decided that the image goes.
    let asked = 0;
    const listDisks = async () => {
      asked += 1;
      if (asked === 2)
        await toys.images.overlay(one, join(toys.path, "late.overlay"), undefined, inTime());
      return await disks(toys);
    };
    expect((await pruned(toys, everything(), listDisks))[one.digest]).toBe(
      "disk of machine late.overlay",
    );
    expect(await digestsIn(toys)).toContain(one.digest);
  });

  test("leaves a name alone that somebody is building", async () => {
    await using toys = await toyCatalogue();
    const [one] = (await versions(toys, 3)) as [Image, Image, Image];
    const lock = FileLock.tryTake(join(toys.store, "names", "toy.lock"));
    expect((await pruned(toys))[one.digest]).toBe("toy is being built or changed");
    lock?.[Symbol.dispose]();
    expect((await pruned(toys))[one.digest]).toBe("goes");
  });

  test("does not touch an image whose last use is noted as fresh", async () => {
    await using toys = await toyCatalogue();
    const [one] = (await versions(toys, 3)) as [Image, Image, Image];
    const folder = join(toys.store, one.digest);
    const longAgo = new Date(Date.now() - 100 * DAY_MS);
    await utimes(folder, longAgo, longAgo);
    await utimes(join(toys.store, "facts", one.digest, "used"), longAgo, longAgo);
    await toys.images.resolve("toy:1", silently, inTime());
    const month = everything({ nowMs: Date.now(), olderThanMs: 30 * DAY_MS });
    expect((await pruned(toys, month))[one.digest]).toContain("within ten minutes");
    await utimes(join(toys.store, "facts", one.digest, "used"), longAgo, longAgo);
    expect((await pruned(toys, month))[one.digest]).toBe("goes");
  });

  test("that is killed while it removes leaves what the next start finishes", async () => {
    await using toys = await toyCatalogue();
    const [one, two] = (await versions(toys, 3)) as [Image, Image, Image];
    // A folder that takes a while to remove, so that the kill comes in the middle of it.
    const many = join(toys.store, one.digest, "many");
    await mkdir(many);
    for (let at = 0; at < 3_000; at += 1) await writeFile(join(many, `${at}`), "");
    await using child = toyChild(PRUNER, [toys.store]);
    await child.says("begins");
    const removing = join(toys.store, "removing");
    while (!existsSync(removing) || (await readdir(removing)).length === 0)
      await new Promise(setImmediate);
    await child.kill();
    expect(await readdir(removing)).toHaveLength(1);
    expect(await toys.images.resolve("toy:2", silently, inTime())).toEqual(two);
    const mended = await recoverStore(toys.store, inTime());
    expect(mended).toEqual([
      expect.stringMatching(/^removing\/.*: an image on its way out, gone now$/),
    ]);
    expect(await readdir(removing)).toEqual([]);
    expect(
      await verifyStore(toys.store, undefined, { onBytes: silently, signal: inTime() }),
    ).toEqual([]);
  });

  test("never takes an image from under who holds it, however often both come at once", async () => {
    await using toys = await toyCatalogue();
    const [image] = (await versions(toys, 1)) as [Image];
    const kept = join(toys.path, "kept");
    await cp(join(toys.store, image.digest), kept, { recursive: true });
    await using pruner = toyChild(STORM_PRUNER, [toys.store]);
    const args = [toys.store, kept, image.digest, String(STORM_HOLDS)];
    await using builder = toyChild(STORM_HOLDER, args);
    const told = await builder.says("held ");
    await pruner.kill();
    const [, held, missed] = told.split(" ").map(Number) as [number, number, number];
    expect(held).toBe(STORM_HOLDS);
    // Else the two never met, and this has shown nothing.
    expect(missed).toBeGreaterThan(0);
  }, 120_000);
});

describe("an image that is set aside", () => {
  test("leaves its place free, unless somebody uses it", async () => {
    await using toys = await toyCatalogue();
    const [one] = (await versions(toys, 1)) as [Image];
    const place = { store: toys.store };
    const hold = await holdImage(toys.store, one.digest, "attempt", inTime());
    expect(await setAside(place, one.digest, inTime())).toEqual({
      why: "it is held by a running attempt",
    });
    await hold?.[Symbol.asyncDispose]();
    const aside = await setAside(place, one.digest, inTime());
    expect("path" in aside && existsSync(aside.path)).toBe(true);
    expect(await holdImage(toys.store, one.digest, "attempt", inTime())).toBeUndefined();
  });
});

test("a hold waits for no longer than it is told", async () => {
  await using toys = await toyCatalogue();
  const [one] = (await versions(toys, 1)) as [Image];
  using _ = await takeStoreLock(toys.store, inTime());
  const reason = new Error("enough");
  const stop = new AbortController();
  const asked = holdImage(toys.store, one.digest, "attempt", stop.signal);
  stop.abort(reason);
  await expect(asked).rejects.toThrow();
});

const HOLDER = `
import { holdImage } from at("src/host/images/store/holds.ts");
const [store, digest] = process.argv.slice(1);
const hold = await holdImage(store, digest, "attempt", AbortSignal.timeout(60_000));
console.log(hold === undefined ? "gone" : "held");
setInterval(() => undefined, 1000);
`;

const RULES = `{ nowMs: Date.now() + 86_400_000, olderThanMs: 0, budgetBytes: undefined, keep: 0, pinned: new Set() }`;

const PRUNER = `
import { prune } from at("src/host/images/store/prune.ts");
const [store] = process.argv.slice(1);
console.log("begins");
await prune({ store }, ${RULES}, { onRemoved: () => undefined, signal: AbortSignal.timeout(60_000) });
`;

/** Removes whatever nothing keeps, again and again. */
const STORM_PRUNER = `
import { removeImage } from at("src/host/images/store/removal.ts");
import { storedDigests } from at("src/host/images/store/layout.ts");
const [store] = process.argv.slice(1);
const signal = AbortSignal.timeout(110_000);
const objection = ({ heldFor }) => (heldFor.size > 0 ? "held" : undefined);
for (;;) {
  for (const digest of await storedDigests(store)) await removeImage({ store }, digest, objection, signal);
}
`;

/** Publishes an image, holds it when it is still there, and reads all of it while it does. */
const STORM_HOLDER = `
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { holdImage } from at("src/host/images/store/holds.ts");
import { publish } from at("src/host/images/store/layout.ts");
import { verifyImage } from at("src/host/images/store/manifest.ts");
const [store, kept, digest, wanted] = process.argv.slice(1);
const signal = AbortSignal.timeout(110_000);
const spin = async (turns) => { for (let at = 0; at < turns; at += 1) await new Promise(setImmediate); };
let held = 0, missed = 0;
while (held < Number(wanted)) {
  const made = join(store, "building", "storm." + randomBytes(4).toString("hex"));
  await mkdir(join(store, "building"), { recursive: true });
  await cp(kept, made, { recursive: true });
  await publish(store, made, digest);
  // Some of the time the other one is first.
  if (Math.random() < 0.5) await spin(Math.random() * 1000);
  const hold = await holdImage(store, digest, "attempt", signal);
  if (hold === undefined) { missed += 1; continue; }
  for (let at = 0; at < 5; at += 1) {
    await verifyImage(join(store, digest), digest, signal);
    await spin(50);
  }
  await hold[Symbol.asyncDispose]();
  held += 1;
}
console.log("held " + held + " " + missed);
`;
