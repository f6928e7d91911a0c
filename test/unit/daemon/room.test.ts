import { expect, test } from "vitest";
import { fitHold, type HostFacts, type Limits, roomOf } from "#host/daemon/room.ts";
import { compileSchema } from "#lib/validate.ts";
import { leaseRequestSchema } from "#protocol/lease.ts";

const LIMITS: Limits = {
  slots: 4,
  cpus: 8,
  memoryReserveMiB: 1024,
  diskReserveMiB: 2048,
  loadMax: 2,
};
const FACTS: HostFacts = {
  hostCpus: 8,
  memoryMiB: 16_384,
  availableMiB: 15_000,
  diskMiB: 100_000,
  diskFreeMiB: 80_000,
  load: 1,
  neighboursMiB: 0,
};
const CLAIM = { cpus: 2, memoryMiB: 2048, diskMiB: 10_000 };

test("an idle host offers all but its reserves, and QEMU's own memory", () => {
  const { capacity, free, hold } = roomOf(LIMITS, FACTS, []);
  expect(capacity).toEqual({ slots: 4, cpus: 8, memoryMiB: 15_168, diskMiB: 97_952 });
  expect(free).toEqual({ slots: 4, cpus: 8, memoryMiB: 13_784, diskMiB: 77_952 });
  expect(hold).toBeUndefined();
});

test("each attempt takes its part, whether its guest has touched the memory yet or not", () => {
  const { free } = roomOf(LIMITS, FACTS, [CLAIM, CLAIM]);
  expect(free).toEqual({
    slots: 2,
    cpus: 4,
    memoryMiB: 15_168 - 2 * (2048 + 192),
    diskMiB: 77_952 - 20_000,
  });
});

test.for([
  ["the load is high", { load: 17 }, /^the load is 17\.0, above 16\.0$/],
  ["the disk is nearly full", { diskFreeMiB: 2048 }, /^the disk has 2048 MiB free/],
] as const)("nothing begins while %s, and what is missing is said", ([, facts, says]) => {
  const { free, hold } = roomOf(LIMITS, { ...FACTS, ...facts }, []);
  expect(free.slots).toBe(0);
  expect(hold).toMatch(says);
});

test("what is over-claimed is nothing, and never less than that", () => {
  const claims = Array.from({ length: 6 }, () => ({ ...CLAIM, memoryMiB: 9000, diskMiB: 90_000 }));
  const { free } = roomOf(LIMITS, { ...FACTS, availableMiB: 100 }, claims);
  expect(free).toEqual({ slots: 0, cpus: 0, memoryMiB: 0, diskMiB: 0 });
});

test("machines that others made here are not offered a second time, whether their memory was touched or not", () => {
  const { free } = roomOf(LIMITS, { ...FACTS, neighboursMiB: 4000 }, [CLAIM]);
  expect(free).toMatchObject({ slots: 3, memoryMiB: 15_168 - 2048 - 192 - 4000 });
});

test.for(["libvirt said\ntwo lines", "\u001b[2J".repeat(400), "\u{1f600}".repeat(700), "x"])(
  "why a host takes nothing fits the wire, whatever it is: %j",
  (why) => {
    const ajv = compileSchema({ type: "object", properties: leaseRequestSchema.properties });
    expect(ajv({ hold: fitHold(why) })).toEqual([]);
    expect(ajv({ hold: `${fitHold(why)}\n` })).not.toEqual([]);
  },
);
