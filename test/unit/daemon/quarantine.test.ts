import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { Quarantine, type QuarantineOrder } from "#host/daemon/quarantine.ts";
import { openQuarantineFile } from "#host/state/quarantine-file.ts";
import { FAULTS, type FaultCode } from "#job/fault.ts";
import type { WireVerdict } from "#protocol/verdict.ts";
import { FakeClock } from "#test/kit/fake-clock.ts";
import { said, saidLog } from "#test/kit/said-log.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const ORDER: QuarantineOrder = { after: 3, firstPauseMs: 120_000, longestPauseMs: 3_600_000 };
const ABOUT = "attempt 1 of 0123456789abcdef";
const BROKEN = { code: "machine-refused", message: "no" };

let state: string;
let clock: FakeClock;
beforeEach(async () => {
  const scratch = await scratchFolder();
  onTestFinished(() => scratch[Symbol.asyncDispose]());
  state = scratch.path;
  clock = new FakeClock();
});

async function open(order: Partial<QuarantineOrder> = {}, boot = "boot-1") {
  const { log, lines } = saidLog();
  const time = { boot, uptimeMs: () => clock.monotonicMs() };
  const file = await openQuarantineFile(state);
  const quarantine = new Quarantine(file, { ...ORDER, ...order }, time, log);
  onTestFinished(() => quarantine.written);
  return { quarantine, lines };
}

function broken(code: FaultCode): WireVerdict {
  const { blame, retry, says } = FAULTS[code];
  return { kind: "broken", fault: { code, blame, retry, message: says, evidence: {} } };
}

const seconds = ({ msLeft }: Quarantine) => (msLeft === undefined ? undefined : msLeft / 1000);

test("faults of the host in a row put it into quarantine, and it says what broke and when it is looked at again", async () => {
  const { quarantine, lines } = await open();
  for (const code of ["machine-refused", "machine-crashed"] as const)
    quarantine.note(broken(code), ABOUT);
  expect(quarantine.why).toBeUndefined();
  quarantine.note(broken("network-unavailable"), ABOUT);
  expect(quarantine.why).toBe(
    `it broke 3 times in a row by its own fault, at last ${ABOUT} with network-unavailable: the slot's network could not be made; in 2 m 0 s a health check decides, or 'testbed host resume'`,
  );
  expect(said(lines, "warn")).toEqual(["this host takes no work, it is in quarantine"]);
});

test.for(Object.keys(FAULTS) as FaultCode[])(
  "whether %s counts is told by its blame",
  async (code) => {
    const { quarantine } = await open({ after: 1 });
    quarantine.note(broken(code), ABOUT);
    const isNoSign = code === "host-restarted" || code === "job-not-understood";
    expect(quarantine.why !== undefined).toBe(FAULTS[code].blame === "host" && !isNoSign);
  },
);

test("an attempt that does not break starts the count anew; one that is not the host's fault changes nothing", async () => {
  const { quarantine } = await open();
  const twice = () => {
    quarantine.note(broken("machine-refused"), ABOUT);
    quarantine.note(broken("machine-refused"), ABOUT);
  };
  for (const kind of ["passed", "failed", "timed-out", "cancelled"] as const) {
    twice();
    quarantine.note({ kind }, ABOUT);
    expect(quarantine.faults).toBe(0);
  }
  twice();
  quarantine.note(broken("image-unbootable"), ABOUT);
  quarantine.note(broken("guest-panicked"), ABOUT);
  expect(quarantine.faults).toBe(2);
  quarantine.note(broken("machine-refused"), ABOUT);
  expect(quarantine.why).toBeDefined();
});

test("pauses grow from the first to the longest, and what still ran meanwhile changes nothing", async () => {
  const { quarantine } = await open();
  for (let at = 0; at < 3; at += 1) quarantine.note(broken("machine-refused"), ABOUT);
  const pauses = [];
  for (let at = 0; at < 7; at += 1) {
    pauses.push(seconds(quarantine));
    quarantine.note({ kind: "passed" }, ABOUT);
    quarantine.note(broken("machine-refused"), ABOUT);
    clock.advance(seconds(quarantine) ?? 0);
    expect(quarantine.msLeft).toBe(0);
    quarantine.checked(BROKEN);
  }
  expect(pauses).toEqual([120, 240, 480, 960, 1920, 3600, 3600]);
});

test("it leaves when a check passes, is on probation then, and is free of it after an attempt that ends well", async () => {
  const { quarantine } = await open();
  for (let at = 0; at < 3; at += 1) quarantine.note(broken("machine-refused"), ABOUT);
  clock.advance(120);
  quarantine.checked(undefined);
  expect(quarantine.why).toBeUndefined();
  quarantine.note(broken("machine-refused"), ABOUT);
  expect(seconds(quarantine)).toBe(240);
  clock.advance(240);
  quarantine.checked(undefined);
  quarantine.note({ kind: "failed", why: "a step failed" }, ABOUT);
  quarantine.note(broken("machine-refused"), ABOUT);
  expect([quarantine.why, quarantine.faults]).toEqual([undefined, 1]);
});

test("a check that passes outside of quarantine takes nothing back; one that fails counts", async () => {
  const { quarantine } = await open();
  quarantine.checked(BROKEN);
  quarantine.checked(undefined);
  quarantine.checked(BROKEN);
  quarantine.checked(BROKEN);
  expect(quarantine.why).toMatch(/at last a health check with machine-refused: no;/);
});

test("it lasts over a restart of the daemon with what is left of its pause, and over a boot until a check passes", async () => {
  const { quarantine } = await open();
  for (let at = 0; at < 3; at += 1) quarantine.note(broken("machine-refused"), ABOUT);
  clock.advance(20);
  await quarantine.written;
  const next = await open();
  expect(seconds(next.quarantine)).toBe(100);
  expect(next.quarantine.why).toBe(quarantine.why);
  const booted = await open({}, "boot-2");
  expect(booted.quarantine.msLeft).toBe(0);
  expect(booted.quarantine.why).toMatch(/; a health check decides/);
  await booted.quarantine.end();
  await booted.quarantine.end();
  expect((await open()).quarantine.why).toBeUndefined();
  await expect(readFile(join(state, "quarantine.json"))).rejects.toThrow("ENOENT");
});

test("faults in a row are counted over restarts, too", async () => {
  for (let at = 0; at < 3; at += 1) {
    const { quarantine } = await open();
    expect(quarantine.why).toBeUndefined();
    quarantine.note(broken("machine-refused"), ABOUT);
    await quarantine.written;
  }
  expect((await open()).quarantine.why).toBeDefined();
});

test.for(["", "{", "[]", "null", '{"faults": {}, "pauses": 1}', '{"faults": [{}], "pauses": 1}'])(
  "a file that holds '%s' has a health check decide",
  async (text) => {
    await writeFile(join(state, "quarantine.json"), text);
    const { quarantine } = await open();
    expect(quarantine.msLeft).toBe(0);
    expect(quarantine.why).toMatch(/cannot be read/);
    quarantine.checked(undefined);
    expect(quarantine.why).toBeUndefined();
  },
);

test("a disk that does not take it changes nothing for this daemon, and that is said", async () => {
  const { log, lines } = saidLog();
  const time = { boot: "boot-1", uptimeMs: () => clock.monotonicMs() };
  const write = async () => {
    throw new Error("ENOSPC: no space left on device");
  };
  const quarantine = new Quarantine({ known: undefined, write }, ORDER, time, log);
  for (let at = 0; at < 3; at += 1) quarantine.note(broken("machine-refused"), ABOUT);
  await quarantine.written;
  expect(quarantine.why).toBeDefined();
  expect(said(lines, "warn")).toContain("the quarantine could not be noted");
});

test("a host that is told never to go into quarantine does not", async () => {
  const { quarantine } = await open({ after: 0 });
  for (let at = 0; at < 9; at += 1) quarantine.note(broken("machine-refused"), ABOUT);
  quarantine.checked(BROKEN);
  expect([quarantine.why, quarantine.faults]).toEqual([undefined, 0]);
});

test("what a guest had a hand in cannot make a long line of it", async () => {
  const { quarantine } = await open({ after: 1 });
  const verdict = broken("machine-refused");
  const message = `\u001b[2J${"x".repeat(100_000)}`;
  quarantine.note({ ...verdict, fault: { ...verdict.fault, message } } as WireVerdict, ABOUT);
  expect(quarantine.why?.length).toBeLessThan(700);
  expect(quarantine.why).not.toContain("\u001b");
});
