import { expect, test } from "vitest";
import { Narrator } from "#host/narration/narrator.ts";
import type { Screen } from "#host/narration/screen.ts";
import { TerminalOutput } from "#lib/terminal-output.ts";
import { eventually } from "#test/kit/eventually.ts";

/** A reader as slow as the test wants it. */
class SlowOutput extends TerminalOutput {
  bytes = 0;
  override get queuedBytes(): number {
    return this.bytes;
  }
}

function narrator() {
  const shown: string[] = [];
  const output = new SlowOutput();
  const screen: Screen = {
    line: (text) => shown.push(`==> ${text}`),
    guest: (text) => text !== "" && shown.push(text),
    endGuest: () => undefined,
    status: (doing) => doing !== undefined && shown.push(`... ${doing}`),
    close: async () => true,
  };
  return { shown, output, narrator: new Narrator(screen, output, 2) };
}

const ENDED = { name: "a", durationMs: 1200, logBytes: 5, cutBytes: 0 } as const;

test("phases, waiting and steps are told in words", () => {
  const { shown, narrator: told } = narrator();
  for (const phase of ["leased", "preparing", "booting", "connecting"] as const) told.enter(phase);
  told.requirement("login works", "waiting");
  told.requirement("login works", "met");
  told.enter("running");
  told.stepBegins(1, "a\u001b");
  told.stepLog(1, Buffer.from("hi\u001b[2J\r"));
  told.stepEnds({ ...ENDED, outcome: "failed", exitCode: 3 });
  told.stepBegins(2, "b");
  told.stepEnds({ ...ENDED, outcome: "failed", signal: "SEGV", cutBytes: 2048 });
  told.progress("50 %\nof it");
  told.leak("the network", new Error("busy\u0007"));
  told[Symbol.dispose]();
  expect(shown).toEqual([
    "... preparing the machine",
    "==> preparing the machine",
    "... starting the machine",
    "==> starting the machine",
    "... waiting: login works",
    "==> the machine is ready after 0.0 s",
    "... sending inputs",
    "==> step 1 of 2: a\\u{1b}",
    "... step 1 of 2: a\\u{1b}",
    "hi␛[2J",
    "\n",
    "==> step 1 of 2: a\\u{1b}: failed with exit status 3 after 1.2 s",
    "==> step 2 of 2: b",
    "... step 2 of 2: b",
    "==> the log reached its limit; 2.0 KiB more were printed and thrown away",
    "==> step 2 of 2: b: failed, ended by SIGSEGV after 1.2 s",
    "==> 50 %\\u{a}of it",
    "==> could not remove the network: busy\\u{7}",
  ]);
});

test("what a slow reader cannot take is left out, and told in one line when it has caught up", async () => {
  const { shown, output, narrator: told } = narrator();
  told.stepBegins(1, "a");
  shown.length = 0;
  told.stepLog(1, Buffer.from("one\n"));
  output.bytes = 10_000_000;
  for (let piece = 0; piece < 10; piece += 1) told.stepLog(1, Buffer.alloc(1024, "x"));
  expect(shown).toEqual(["one\n"]);
  output.bytes = 0;
  let pieces = 10;
  await eventually(() => {
    pieces += 1;
    told.stepLog(1, Buffer.alloc(1024, "y"));
    return shown.some((line) => line.includes("left out"));
  }, 4_000);
  told[Symbol.dispose]();
  const leftOut = `==> ${pieces - 1}.0 KiB of output left out here, the step's log has them`;
  expect(shown.filter((line) => !line.startsWith("..."))).toEqual([
    "one\n",
    leftOut,
    "y".repeat(1024),
  ]);
});

test("the attempt that runs is counted from its first phase", () => {
  const { narrator: told } = narrator();
  expect(told.attempt).toBe(0);
  for (const attempt of [1, 2]) {
    for (const phase of ["leased", "preparing", "booting", "settled"] as const) {
      told.enter(phase);
      expect(told.attempt).toBe(phase === "leased" ? attempt - 1 : attempt);
    }
  }
  told[Symbol.dispose]();
});

test("inputs that are sent quickly are one line", () => {
  const { shown, narrator: told } = narrator();
  told.enter("running");
  for (let sent = 0; sent < 100; sent += 1) told.inputsSent(sent * 2 ** 20, false);
  told.inputsSent(100 * 2 ** 20, true);
  told[Symbol.dispose]();
  expect(shown.filter((line) => line.includes("of inputs"))).toEqual([
    "==> sent 100.0 MiB of inputs",
  ]);
});
