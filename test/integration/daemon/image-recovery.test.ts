import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { verifyStore } from "#host/images/store/verify.ts";
import { PATH } from "#test/kit/command.ts";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT } from "#test/kit/house.ts";
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
  const config = join(toys.path, "daemon.yaml");
  await writeFile(config, `host: lab-1\nstate: ${toys.path}\n`);
  const daemon = spawn(
    process.execPath,
    [join(ROOT, "src/main.ts"), "daemon", "--config", config],
    {
      env: { PATH, HOME: "/root", TESTBED_LIBVIRT: "qemu:///system?socket=/nowhere/libvirt" },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let said = "";
  for (const stream of [daemon.stdout, daemon.stderr])
    stream.on("data", (piece: Buffer) => {
      said += piece.toString();
    });
  const ended = once(daemon, "exit");
  try {
    await eventually(() => said.match(/the image store was put in order/g)?.length === 3, START_MS);
  } finally {
    daemon.kill("SIGKILL");
    await ended;
  }
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
