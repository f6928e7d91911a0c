import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Guest, LogSize, StepOrder } from "#host/runner/guest-port.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { type GuestUnderTest, step } from "./guests.contract.ts";

const NEVER = new AbortController().signal;

/** What `Guests.resume` promises, for the fake and the real one alike. */
export function describeResumedGuests(make: () => Promise<GuestUnderTest>): void {
  describe("a guest that is resumed", () => {
    test("who resumes a guest that was let go of in a step has the rest of its log, and its end", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const text = `printf begun; until [ -e ${at.folder}/go ]; do sleep 0.05; done; printf ' done'; exit 3`;
      const order = step(home.path, 1, `printf x >>${at.folder}/count; ${text}`);
      await letGoInStep(at.guest, order);
      await using guest = await at.resume(at.guest.place);
      const running = guest.run(order, NEVER);
      await writeFile(join(home.path, "go"), "");
      await guest.send(
        [{ from: join(home.path, "go"), to: `${at.folder}/go` }],
        () => undefined,
        NEVER,
      );
      const end = await running;
      expect(end).toEqual({ outcome: "failed", exitCode: 3, logBytes: 10, cutBytes: 0 });
      expect(await readFile(order.logPath, "utf8")).toBe("begun done");
      const count = step(home.path, 2, `cat ${at.folder}/count`);
      await guest.run(count, NEVER);
      expect(await readFile(count.logPath, "utf8")).toBe("x");
    });

    test("a step that ended while nobody was there has its log and its end kept", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const text = `echo $$ >${at.folder}/pid; printf begun; until [ -e ${at.folder}/go ]; do sleep 0.05; done; printf ' done'; exit 3`;
      const order = step(home.path, 1, text);
      await letGoInStep(at.guest, order);
      await using guest = await at.resume(at.guest.place);
      const ending = `: >${at.folder}/go; while kill -0 "$(cat ${at.folder}/pid)"; do sleep 0.05; done`;
      await guest.run(step(home.path, 2, ending), NEVER);
      const end = await guest.run(order, NEVER);
      expect(end).toEqual({ outcome: "failed", exitCode: 3, logBytes: 10, cutBytes: 0 });
      expect(await readFile(order.logPath, "utf8")).toBe("begun done");
    });

    test("a step ends with its attempt's time while nobody is there, whatever the next one says is left", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const order = step(home.path, 1, "printf begun; sleep 600", { attemptSecondsLeft: 2 });
      await letGoInStep(at.guest, order);
      await using guest = await at.resume(at.guest.place);
      const end = await guest.run({ ...order, attemptSecondsLeft: 500 }, NEVER);
      expect(end).toMatchObject({ outcome: "timed-out", logBytes: 5 });
    });

    test("a step is cancelled by who resumed its guest, at once", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const alive = `while sleep 0.05; do :; done`;
      const order = step(home.path, 1, `echo $$ >${at.folder}/pid; printf begun; ${alive}`);
      await letGoInStep(at.guest, order);
      await using guest = await at.resume(at.guest.place);
      const cancel = new AbortController();
      const reason = new Error("cancelled by the test");
      const running = guest.run(order, cancel.signal);
      cancel.abort(reason);
      await expect(running).rejects.toBe(reason);
      expect(await readFile(order.logPath, "utf8")).toBe("begun");
      const look = step(home.path, 2, `kill -0 "$(cat ${at.folder}/pid)" || echo gone`);
      await guest.run(look, NEVER);
      expect(await readFile(look.logPath, "utf8")).toContain("gone");
    });

    test("of a step that was cancelled while nobody was there the log still comes home, and what was not begun is not", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const alive = `while sleep 0.05; do :; done`;
      const text = `printf begun; until [ -e ${at.folder}/go ]; do sleep 0.05; done; printf ' done'; : >${at.folder}/said; ${alive}`;
      const order = step(home.path, 1, text);
      await letGoInStep(at.guest, order);
      await using guest = await at.resume(at.guest.place);
      const going = `: >${at.folder}/go; until [ -e ${at.folder}/said ]; do sleep 0.05; done`;
      await guest.run(step(home.path, 2, going), NEVER);
      const reason = new Error("cancelled by the test");
      const cancelled = AbortSignal.abort(reason);
      const sizes: LogSize[] = [];
      const resumed = {
        ...order,
        isBegun: true,
        onLogEnd: (size: LogSize) => void sizes.push(size),
      };
      await expect(guest.run(resumed, cancelled)).rejects.toBe(reason);
      expect(await readFile(order.logPath, "utf8")).toBe("begun done");
      expect(sizes).toEqual([{ logBytes: 10, cutBytes: 0 }]);
      const never = { ...step(home.path, 3, `: >${at.folder}/ran`), isBegun: true };
      await expect(guest.run(never, cancelled)).rejects.toBe(reason);
      const look = step(home.path, 4, `[ -e ${at.folder}/ran ] || echo not begun`);
      await guest.run(look, NEVER);
      expect(await readFile(look.logPath, "utf8")).toBe("not begun\n");
    });

    test("a guest that is not in the boot that was written down has lost its steps, for every verb", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const bootId = "01234567-89ab-4def-8123-456789abcdef";
      await using guest = await at.resume({ ...at.guest.place, bootId });
      await writeFile(join(home.path, "file"), "");
      const inputs = [{ from: join(home.path, "file"), to: `${at.folder}/file` }];
      const verbs = await Promise.allSettled([
        guest.run(step(home.path, 1, `: >${at.folder}/ran`), NEVER),
        guest.send(inputs, () => undefined, NEVER),
        guest.collect([`${at.folder}/*`], join(home.path, "artifacts"), NEVER),
      ]);
      for (const verb of verbs) {
        expect(verb).toMatchObject({
          status: "rejected",
          reason: {
            code: "guest-runner-lost",
            message: "the guest rebooted while nobody was connected",
          },
        });
      }
      const look = step(home.path, 2, `ls ${at.folder}`);
      await at.guest.run(look, NEVER);
      expect(await readFile(look.logPath, "utf8")).toBe("");
    });
  });
}

/** Begins a step and, once it has printed, lets go of the guest. */
async function letGoInStep(guest: Guest, order: StepOrder): Promise<void> {
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const running = guest.run({ ...order, onLog: () => resolve() }, NEVER);
  running.catch(() => undefined);
  await begun;
  await guest[Symbol.asyncDispose]();
  await expect(running).rejects.toThrow("the guest was let go of");
}
