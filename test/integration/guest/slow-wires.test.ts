import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { step } from "#test/contract/guests.contract.ts";
import { connectTo } from "#test/kit/ssh-connect.ts";
import { type Pace, stretchWire } from "#test/kit/ssh-proxy.ts";
import { type LoopbackSshd, startSshd } from "#test/kit/ssh-sshd.ts";
import { guestBehindWire } from "#test/kit/wired-guest.ts";

/** All at once: each waits for what takes half a minute. */
const SLOW = { timeout: 120_000, concurrent: true } as const;

let sshd: LoopbackSshd;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});

const NEVER = new AbortController().signal;

test(
  "a connection that goes dead without a word is noticed within half a minute, and the log goes on where it was",
  SLOW,
  async () => {
    await using wire = await stretchWire(sshd.port);
    await using at = await guestBehindWire({ sshd, wire });
    const text = `echo started >>${at.folder}/starts; i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; sleep 0.02; done; exit 7`;
    const order = step(at.folder, 1, text);
    let frozenAtMs: number | undefined;
    let healedAfterMs = 0;
    const onLog = () => {
      if (frozenAtMs !== undefined) healedAfterMs ||= performance.now() - frozenAtMs;
      else {
        frozenAtMs = performance.now();
        wire.freeze();
      }
    };
    const end = await at.guest.run({ ...order, onLog }, NEVER);
    expect(end).toMatchObject({ outcome: "failed", exitCode: 7, cutBytes: 0 });
    expect(healedAfterMs).toBeGreaterThan(10_000);
    expect(healedAfterMs).toBeLessThan(35_000);
    const expected = Array.from({ length: 60 }, (_, index) => `line ${index + 1}\n`).join("");
    expect(await readFile(order.logPath, "utf8")).toBe(expected);
    expect(await readFile(join(at.folder, "starts"), "utf8")).toBe("started\n");
  },
);

/** Sends an input over a wire that is slow once the guest is connected. */
async function sendSlowly(bytesPerSecond: number, bytes: number, stallSeconds: number) {
  const pace: Pace = { bytesPerSecond: Number.POSITIVE_INFINITY };
  await using wire = await stretchWire(sshd.port, pace);
  const options = { ...sshd.options, port: wire.port };
  await using guest = await connectTo(
    { access: sshd.access, options },
    { options: { stallSeconds } },
  );
  const [from, to] = ["from", "to"].map((name) => join(sshd.folder, `${bytesPerSecond}-${name}`));
  if (from === undefined || to === undefined) throw new Error("no names");
  const content = Buffer.alloc(bytes, "0123456789");
  await writeFile(from, content);
  pace.bytesPerSecond = bytesPerSecond;
  await guest.send([{ from, to }], () => undefined, NEVER);
  return (await readFile(to)).equals(content);
}

test(
  "an input that takes longer than a connection may be silent arrives, since the guest takes it all the while",
  SLOW,
  async () => {
    expect(await sendSlowly(80_000, 2_600_000, 60)).toBe(true);
  },
);

test("a wire that carries next to nothing is a fault, and no wait without end", SLOW, async () => {
  await expect(sendSlowly(1000, 4_000_000, 5)).rejects.toMatchObject({
    code: "guest-unreachable",
    message: "the guest takes no more of the inputs",
  });
});
