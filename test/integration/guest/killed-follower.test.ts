import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SshGuests } from "#host/guest/ssh-guests.ts";
import type { Guest, GuestPlace, StepOrder } from "#host/runner/guest-port.ts";
import { step } from "#test/contract/guests.contract.ts";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT } from "#test/kit/house.ts";
import type { FollowOrder } from "#test/kit/ssh-follower.ts";
import { LoopbackMachine } from "#test/kit/ssh-machine.ts";
import { type LoopbackSshd, startSshd } from "#test/kit/ssh-sshd.ts";

const NEVER = new AbortController().signal;

let sshd: LoopbackSshd;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});

/** A guest that processes follow until they are killed, one after the other, and that this one follows at last. */
async function guestOfOthers() {
  const folder = await mkdtemp(join(sshd.folder, "guest-"));
  const folders = { stateFolder: join(folder, "run"), logFolder: join(folder, "logs") };
  let place: GuestPlace | undefined;
  return {
    folder,
    ...folders,
    /** Follows a step in a process that is killed once the log at home has so many bytes. */
    followAndDie: async (order: StepOrder, bytes: number): Promise<void> => {
      const script = fileURLToPath(import.meta.resolve("#test/kit/ssh-follower.ts"));
      const child = spawn(join(ROOT, "bin/testbed-node"), [script], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      const gone = once(child, "exit");
      const told: FollowOrder = {
        port: sshd.port,
        folders,
        settledFile: sshd.options.settledFile ?? "",
        clientKey: sshd.access.clientKey,
        hostKey: sshd.access.hostKey.toString("base64"),
        place,
        step: order,
      };
      child.stdin.end(JSON.stringify(told));
      const [line] = (await once(createInterface(child.stdout), "line")) as [string];
      place = JSON.parse(line) as GuestPlace;
      await eventually(() => sizeOf(order.logPath) >= bytes, 20_000);
      child.kill("SIGKILL");
      expect(await gone).toEqual([null, "SIGKILL"]);
    },
    resume: async (): Promise<Guest> => {
      if (place === undefined) throw new Error("nobody followed");
      const guests = new SshGuests({ ...sshd.options, ...folders });
      const { access } = sshd;
      return await guests.resume({ machine: new LoopbackMachine(), access, place }, NEVER);
    },
  };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Ten lines are 70 bytes or a little more. */
const lines = (count: number) =>
  Array.from({ length: count }, (_, index) => `line ${index + 1}\n`).join("");

test("a step outlives the processes that follow it: killed thrice, each byte comes once, and its exit code is its own", async () => {
  const at = await guestOfOthers();
  const text = `echo started >>${at.folder}/starts; i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i; sleep 0.02; done; exit 7`;
  const order = step(at.folder, 1, text);
  for (const bytes of [1, 500, 1500]) await at.followAndDie(order, bytes);
  const before = sizeOf(order.logPath);
  await using guest = await at.resume();
  const end = await guest.run(order, NEVER);
  const whole = lines(400);
  // Else the last one had nothing to do.
  expect(before).toBeLessThan(whole.length);
  expect(end).toEqual({
    outcome: "failed",
    exitCode: 7,
    logBytes: whole.length,
    cutBytes: 0,
  });
  expect(await readFile(order.logPath, "utf8")).toBe(whole);
  expect(await readFile(join(at.folder, "starts"), "utf8")).toBe("started\n");
});

test("a step that ended after its follower was killed is taken up whole, log beyond its limit included", async () => {
  const at = await guestOfOthers();
  const text = `echo begun; until [ -e ${at.folder}/go ]; do sleep 0.05; done; seq 100000 199999; exit 5`;
  const order = { ...step(at.folder, 1, text), logLimitBytes: 600_000 };
  await at.followAndDie(order, 1);
  const ender = await at.resume();
  await ender.run(step(at.folder, 2, `: >${at.folder}/go`), NEVER);
  await ender[Symbol.asyncDispose]();
  await eventually(async () => (await endOf(at.stateFolder)).startsWith("end "), 20_000);
  await using guest = await at.resume();
  const end = await guest.run(order, NEVER);
  const all = `begun\n${Array.from({ length: 100_000 }, (_, i) => `${i + 100_000}\n`).join("")}`;
  expect(end).toEqual({
    outcome: "failed",
    exitCode: 5,
    logBytes: 600_000,
    cutBytes: all.length - 600_000,
  });
  expect((await readFile(order.logPath, "utf8")).slice(0, 600_000)).toBe(all.slice(0, 600_000));
});

/** What the guest's runner wrote of the end of step 1. */
async function endOf(stateFolder: string): Promise<string> {
  const path = join(stateFolder, "1.exit");
  return existsSync(path) ? await readFile(path, "utf8") : "";
}
