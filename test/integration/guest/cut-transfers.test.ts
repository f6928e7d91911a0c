import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { step } from "#test/contract/guests.contract.ts";
import { eventually } from "#test/kit/eventually.ts";
import { stretchWire, type Wire } from "#test/kit/ssh-proxy.ts";
import { type LoopbackSshd, startSshd } from "#test/kit/ssh-sshd.ts";
import { guestBehindWire } from "#test/kit/wired-guest.ts";

let sshd: LoopbackSshd;
let wire: Wire;
beforeAll(async () => {
  sshd = await startSshd();
  wire = await stretchWire(sshd.port);
});
afterAll(async () => {
  await wire[Symbol.asyncDispose]();
  await sshd[Symbol.asyncDispose]();
});

const NEVER = new AbortController().signal;

test("an input is whole although its connection was cut while it was sent", async () => {
  await using at = await guestBehindWire({ sshd, wire });
  const from = join(at.folder, "large");
  const content = Buffer.alloc(24 * 1024 * 1024, "0123456789");
  await writeFile(from, content);
  let cuts = 0;
  const onBytes = (sent: number) => {
    if (cuts > 0 || sent < content.length / 2) return;
    cuts += 1;
    wire.cut();
  };
  await at.guest.send([{ from, to: join(at.folder, "arrived") }], onBytes, NEVER);
  expect(cuts).toBe(1);
  expect((await readFile(join(at.folder, "arrived"))).equals(content)).toBe(true);
});

test("an input whose connection is lost each time is given up, with a reason", async () => {
  await using at = await guestBehindWire({ sshd, wire });
  const from = join(at.folder, "large");
  await writeFile(from, Buffer.alloc(24 * 1024 * 1024));
  let cuts = 0;
  const onBytes = (sent: number) => {
    if (sent < 12 * 1024 * 1024) return;
    cuts += 1;
    wire.cut();
  };
  const sending = at.guest.send([{ from, to: join(at.folder, "arrived") }], onBytes, NEVER);
  await expect(sending).rejects.toMatchObject({
    code: "guest-unreachable",
    message: expect.stringContaining("the connection was lost 8 times while"),
  });
  expect(cuts).toBeGreaterThanOrEqual(8);
  expect(existsSync(join(at.folder, "arrived"))).toBe(false);
});

test("artifacts are whole although their connection was cut while they came", async () => {
  await using at = await guestBehindWire({ sshd, wire });
  const run = `mkdir ${at.folder}/out; cd ${at.folder}/out; for i in 1 2 3 4; do head -c 6000000 /dev/zero >$i; done; seq 100 | split -l 1 - small`;
  await at.guest.run(step(at.folder, 1, run), NEVER);
  const collecting = at.guest.collect([`${at.folder}/out`], join(at.folder, "artifacts"), NEVER);
  await eventually(() => existsSync(join(at.folder, "artifacts", at.folder, "out/2")), 10_000);
  wire.cut();
  const { artifacts, refused } = await collecting;
  expect(refused).toEqual([]);
  expect(artifacts).toHaveLength(104);
  expect(new Set(artifacts.map(({ path }) => path)).size).toBe(104);
  expect(artifacts.filter(({ bytes }) => bytes === 6_000_000)).toHaveLength(4);
});
