import { open } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Inspection, inspectHeader } from "#host/images/inspect/qcow2-header.ts";
import { askInfo } from "#host/images/inspect/qemu-info.ts";
import { call } from "#test/kit/call.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { randomOf, seeds } from "#test/kit/seeds.ts";

const RUNS = 400;
const DEADLINE_MS = 200_000;
const OPTIONS = [
  "compat=0.10",
  "cluster_size=512",
  "cluster_size=2M",
  "extended_l2=on,cluster_size=16k,refcount_bits=1",
  "compression_type=zstd",
];
const HEAD_BYTES = 64 * 1024;

/** Offsets of the header's fields, and numbers that are at the edge of something. */
const PLACES = [
  4, 8, 16, 20, 24, 32, 36, 40, 48, 56, 60, 64, 72, 80, 88, 96, 100, 104, 112, 116, 120,
];
const EDGES = [
  0,
  1,
  2,
  3,
  4,
  8,
  16,
  72,
  104,
  112,
  512,
  65536,
  131072,
  196608,
  2 ** 20,
  2 ** 31,
  2 ** 32 - 1,
];
const TYPES = [0, 0xe2792aca, 0x44415441, 0x6803f857, 0x23852875, 0x0537be77];

function mutate(head: Buffer, random: () => number): void {
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T;
  const changes = 1 + Math.floor(random() * 3);
  for (let change = 0; change < changes; change += 1) {
    const at = pick(PLACES);
    const kind = random();
    if (kind < 0.5) head.writeUInt32BE(pick(EDGES), at + (random() < 0.5 ? 4 : 0));
    else if (kind < 0.7) head[at + Math.floor(random() * 8)] = Math.floor(random() * 256);
    else if (kind < 0.85) head.writeUInt32BE(pick(TYPES), at);
    else head.writeBigUInt64BE(2n ** BigInt(Math.floor(random() * 64)), at);
  }
}

/**
 * Whatever our parser takes, QEMU takes too, and finds the same in it: nothing but one plain image of this size. The other
 * way round QEMU takes more. Headers that are refused without it cost nothing, so many more are tried than given to it.
 */
test.each(seeds(1))(
  "what is taken by our parser is a plain image to QEMU, seed %i",
  { timeout: DEADLINE_MS },
  async (seed) => {
    await using folder = await scratchFolder();
    const random = randomOf(seed);
    const signal = AbortSignal.timeout(DEADLINE_MS - 10_000);
    const disagreements: { head: string; own: Inspection; asked: Inspection }[] = [];
    let taken = 0;
    let tried = 0;
    for (const [index, options] of OPTIONS.entries()) {
      const path = join(folder.path, `${index}`);
      await call("qemu-img", ["create", "-q", "-f", "qcow2", "-o", options, path, "64M"]);
      await using file = await open(path, "r+");
      const fileBytes = (await file.stat()).size;
      const { buffer: plain, bytesRead } = await file.read(
        Buffer.alloc(HEAD_BYTES),
        0,
        HEAD_BYTES,
        0,
      );
      const enough = ((index + 1) * RUNS) / OPTIONS.length;
      for (; taken < enough && tried < 1000 * RUNS; tried += 1) {
        const head = Buffer.from(plain.subarray(0, bytesRead));
        mutate(head, random);
        const own = inspectHeader(head, { fileBytes, virtualBytesMax: 2 ** 40 });
        if ("refused" in own) continue;
        taken += 1;
        await file.write(head, 0, 512, 0);
        const asked = await askInfo("qcow2", { fd: file.fd, signal });
        if ("refused" in asked || asked.virtualBytes !== own.virtualBytes)
          disagreements.push({ head: head.toString("hex", 0, 160), own, asked });
      }
    }
    expect(disagreements).toEqual([]);
    expect(taken).toBe(RUNS);
    expect(tried).toBeGreaterThan(2 * RUNS);
  },
);
