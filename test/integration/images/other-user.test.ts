import { chmod, chown, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { heldDigests } from "#host/images/store/holds.ts";
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
  await using daemon = toyChild(DAEMON, [toys.store, toys.recipes]);
  expect(await daemon.says("toy")).toBe("toy held");
  expect([...(await heldDigests(toys.store))]).toEqual([]);
});

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
