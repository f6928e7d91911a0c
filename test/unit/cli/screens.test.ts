import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { LiveScreen } from "#cli/run/live-screen.ts";
import { PlainScreen } from "#host/narration/plain-screen.ts";
import type { Screen, ScreenOptions } from "#host/narration/screen.ts";
import { TerminalOutput } from "#lib/terminal-output.ts";

/** An output that keeps what is written to it. */
class Recorder extends TerminalOutput {
  text = "";
  readonly byFd: string[] = [];
  override write(fd: number, text: string): void {
    this.text += text;
    this.byFd[fd] = (this.byFd[fd] ?? "") + text;
  }
}

function plain(): { screen: Screen; output: Recorder } {
  const output = new Recorder();
  return { screen: new PlainScreen({ output, guestFd: 1, hasColor: false }), output };
}

function live(columns: number, hasColor = false): { screen: Screen; output: Recorder } {
  const output = new Recorder();
  const options: ScreenOptions = { output, guestFd: 2, hasColor };
  return { screen: new LiveScreen(options, () => columns), output };
}

const ESCAPE = "\u001b";
const ESCAPE_SEQUENCE_OR_CHARACTER = new RegExp(`${ESCAPE}\\[[\\d;]*[A-Za-z]|[^]`, "gu");

/** What a terminal of this width shows after this was written: enough of ECMA-48 for what a LiveScreen writes. */
function rendered(text: string, columns: number): string[] {
  const rows = [""];
  let row = 0;
  for (const [token] of text.matchAll(ESCAPE_SEQUENCE_OR_CHARACTER)) {
    if (token === "\u001b[A") row = Math.max(0, row - 1);
    else if (token === "\u001b[K") rows[row] = "";
    else if (token === "\n") row += 1;
    else if (token !== "\r" && !token.startsWith("\u001b")) {
      if ([...(rows[row] ?? "")].length >= columns) row += 1;
      rows[row] = (rows[row] ?? "") + token;
    }
  }
  return Array.from(rows, (shown) => shown ?? "");
}

test("plain lines are marked by whose they are, and go to their own descriptors", () => {
  const { screen, output } = plain();
  screen.line("step 1");
  screen.guest("a\nb");
  screen.guest("c\n\n");
  screen.guest("open");
  screen.line("over");
  expect(output.byFd[1]).toBe("| a\n| bc\n| \n| open\n");
  expect(output.byFd[2]).toBe("==> step 1\n==> over\n");
});

test("a plain screen says now and then that something takes long, unless other lines do", () => {
  const { screen, output } = plain();
  for (let seconds = 0; seconds <= 40; seconds += 1) {
    screen.status("waiting", seconds);
    if (seconds === 20) screen.line("half of it is done");
  }
  screen.status("something else", 3);
  screen.status(undefined);
  expect(output.text).toBe("==> waiting · 15 s\n==> half of it is done\n==> waiting · 36 s\n");
});

test("the status stands below everything and leaves no trace", async () => {
  const { screen, output } = live(40);
  screen.status("booting");
  screen.status("booting", 4);
  screen.guest("one\ntw");
  screen.status("running", 1);
  screen.guest("o\nthree");
  expect(rendered(output.text, 40)).toEqual(["| one", "| two", "| three", "running · 1 s"]);
  screen.line("over");
  await screen.close();
  expect(rendered(output.text, 40).filter((row) => row !== "")).toEqual([
    "| one",
    "| two",
    "| three",
    "==> over",
  ]);
});

test("a status that is too long for the terminal is cut", () => {
  const { screen, output } = live(20);
  screen.status("waiting: something with a long name", 12);
  expect(rendered(output.text, 20)).toEqual(["waiting: something…"]);
});

test("colours are ours alone, and only where there are any", () => {
  const coloured = live(80, true);
  coloured.screen.line("good", "good");
  expect(coloured.output.text).toContain("\u001b[1;32m==> \u001b[0mgood");
  const bare = live(80, false);
  bare.screen.line("good", "good");
  expect(bare.output.text).not.toContain("\u001b[1");
});

test("whatever a guest prints, and however long, no row of it looks like one of ours", () => {
  const guest = fc.string({
    unit: fc.constantFrom("==> ", "passed", "x", " ", "\n", "\t", "| "),
    maxLength: 120,
  });
  fc.assert(
    fc.property(
      fc.array(guest, { maxLength: 8 }),
      fc.integer({ min: 16, max: 50 }),
      (texts, columns) => {
        const { screen, output } = live(columns);
        for (const [at, text] of texts.entries()) {
          if (at % 3 === 2) screen.line(`artifact refused: ${text.replaceAll(/[\n\t]/g, "")}`);
          else screen.guest(text);
          screen.status("now", at);
        }
        screen.endGuest();
        const forged = rendered(output.text, columns).filter(
          (row) => row.startsWith("==> ") && !row.startsWith("==> artifact".slice(0, columns - 1)),
        );
        expect(forged).toEqual([]);
      },
    ),
  );
});

test("a file gets exactly the lines, in order", async () => {
  const folder = mkdtempSync(join(tmpdir(), "testbed-screen-"));
  const fd = openSync(join(folder, "out"), "a");
  class ToFile extends TerminalOutput {
    override write(_: number, text: string): void {
      super.write(fd, text);
    }
  }
  const screen = new PlainScreen({ output: new ToFile(), guestFd: 1, hasColor: false });
  screen.guest("hello\n");
  screen.line("passed");
  expect(await screen.close()).toBe(true);
  expect(readFileSync(join(folder, "out"), "utf8")).toBe("| hello\n==> passed\n");
  rmSync(folder, { recursive: true });
});
