import { chmod, chown, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { heldDigests } from "#host/images/store/holds.ts";
import { adminFolder, catalogueYaml, publish, versionYaml } from "#test/kit/admin-catalogue.ts";
import { rawDisk } from "#test/kit/raw-disk.ts";
import { toyChild } from "#test/kit/toy-child.ts";
import { type ToyCatalogue, toyCatalogue } from "#test/kit/toy-recipes.ts";

const inTime = () => AbortSignal.timeout(50_000);
const silently = () => undefined;
/** nobody of Debian: an account that owns nothing. */
const NOBODY = 65_534;

/** Root's store in a state folder of another user, as on a host whose daemon is not root. */
async function builtByRoot(): Promise<{ readonly toys: ToyCatalogue; readonly digest: string }> {
  const toys = await toyCatalogue();
  await chmod(toys.path, 0o755);
  await chown(toys.path, NOBODY, NOBODY);
  await toys.recipe("toy");
  const { digest } = await toys.images.resolve("toy", silently, inTime());
  return { toys, digest };
}

test("a daemon that is not root holds images that root built, and notes their use", async () => {
  const { toys, digest } = await builtByRoot();
  await using _ = toys;
  const used = join(toys.store, "facts", digest, "used");
  const before = (await stat(used)).mtimeMs;
  await using daemon = toyChild(DAEMON, [toys.store, toys.recipes]);
  expect(await daemon.says("toy")).toBe("toy held");
  expect([...(await heldDigests(toys.store))]).toEqual([[digest, new Set(["attempt"])]]);
  expect((await stat(used)).mtimeMs).toBeGreaterThan(before);
  await daemon.kill();
  expect([...(await heldDigests(toys.store))]).toEqual([]);
  for (const name of await readdir(join(toys.store, digest)))
    expect((await stat(join(toys.store, digest, name))).uid).toBe(0);
});

test("in a store that only root may write it goes on without", async () => {
  const { toys } = await builtByRoot();
  await using _ = toys;
  for (const name of ["holds", "facts"]) await rm(join(toys.store, name), { recursive: true });
  await chown(toys.store, 0, 0);
  await using daemon = toyChild(DAEMON, [toys.store, toys.recipes]);
  expect(await daemon.says("toy")).toBe("toy held");
  expect([...(await heldDigests(toys.store))]).toEqual([]);
});

test("a daemon that is not root goes on where root, of whatever umask, followed a catalogue", async () => {
  await using admin = await adminFolder();
  await chmod(admin.path, 0o755);
  const publishVersions = async (...versions: readonly string[]) => {
    for (const version of versions)
      await rawDisk(join(admin.path, `disk-${version}`), Buffer.alloc(2 ** 21, version));
    const yamls = versions.map((version) =>
      versionYaml(version, `{ file: disk-${version}, format: raw, virtualMiB: 2 }`),
    );
    const text = catalogueYaml(...yamls).replace("- name: toy", "- name: doll");
    await admin.write({ "catalogue.yaml": text });
    await publish(admin, { nowMs: Date.now() });
  };
  const { toys, digest } = await builtByRoot();
  await using _ = toys;
  await publishVersions("1");
  const args = [toys.store, toys.recipes, admin.path];
  await using root = toyChild(FOLLOWER, ["0", ...args]);
  expect(await root.says("refreshed")).toBe("refreshed new doll switched");
  await root.kill();
  await publishVersions("2", "1");
  await using daemon = toyChild(FOLLOWER, [`${NOBODY}`, ...args]);
  expect(await daemon.says("refreshed")).toBe("refreshed new doll switched");
  expect(await daemon.says("pruned")).toBe(`pruned ${digest}`);
  await daemon.kill();
  await using again = toyChild(FOLLOWER, ["0", ...args]);
  expect(await again.says("refreshed")).toBe("refreshed unchanged doll unchanged");
});

/** Follows a catalogue, and takes out what a recipe made. */
const FOLLOWER = `
import { localImages } from at("src/host/images/local-images.ts");
import { openSource } from at("src/host/images/follow/source.ts");
import { storedDigests } from at("src/host/images/store/layout.ts");
import { readManifest } from at("src/host/images/store/manifest.ts");
import { removeImage } from at("src/host/images/store/removal.ts");
process.umask(0o077);
const [uid, store, recipes, path] = process.argv.slice(1);
process.setgroups([]);
process.setgid(Number(uid));
process.setuid(Number(uid));
const source = openSource({ path, keys: [], allowUnsigned: true, hosts: [], allowAddresses: [] });
const places = { store, recipes: [recipes], sources: [source], listDisks: async () => [] };
const tryOut = async () => ({ kind: "passed", acceleration: "tcg" });
const signal = AbortSignal.timeout(60_000);
const report = await localImages(places, { tryOut }).refresh(["doll"], {}, signal);
console.log("refreshed", ...report.catalogues.map((one) => one.outcome), ...report.images.map((one) => one.name + " " + one.outcome + (one.outcome === "failed" ? one.says : "")));
for (const digest of uid === "0" ? [] : await storedDigests(store)) {
  const { boot } = await readManifest(store + "/" + digest, digest);
  if (boot.kind !== "kernel") continue;
  const why = await removeImage(places, digest, () => undefined, signal);
  console.log("pruned", why ?? digest);
}
setInterval(() => undefined, 1000);
`;

const DAEMON = `
import { localImages } from at("src/host/images/local-images.ts");
process.setgroups([]);
process.setgid(${NOBODY});
process.setuid(${NOBODY});
const [store, recipes] = process.argv.slice(1);
const images = localImages({ store, recipes: [recipes] });
const signal = AbortSignal.timeout(60_000);
const image = await images.resolve("toy", () => undefined, signal);
const hold = await images.hold(image, signal);
console.log(hold === undefined ? "toy gone" : "toy held");
setInterval(() => undefined, 1000);
`;
