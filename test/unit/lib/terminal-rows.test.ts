import fc from "fast-check";
import { expect, test } from "vitest";
import { fitted, TerminalRows } from "#lib/terminal-rows.ts";

test("long lines are cut, and the rest waits for its newline", () => {
  const rows = new TerminalRows();
  expect(rows.push("abcdefgh", 3)).toEqual(["abc", "def"]);
  expect(rows.open).toBe("gh");
  expect(rows.push("\n\nx", 3)).toEqual(["gh", ""]);
  expect(rows.end()).toEqual(["x"]);
  expect(rows.end()).toEqual([]);
});

test("a line as wide as the terminal is one row", () => {
  expect(new TerminalRows().push("abc\ndef\n", 3)).toEqual(["abc", "def"]);
});

test("wide characters take two columns, tabs go to the next stop", () => {
  const rows = new TerminalRows();
  expect(rows.push("日本語\n", 4)).toEqual(["日本", "語"]);
  expect(rows.push("a\tb\n", 20)).toEqual(["a       b"]);
  expect(rows.push("\t\n", 4)).toEqual(["    "]);
});

test("no row is wider than the terminal, and no character is lost", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "日", "👍", "é", "\n"), maxLength: 200 });
  fc.assert(
    fc.property(text, fc.integer({ min: 2, max: 30 }), (line, columns) => {
      const rows = new TerminalRows();
      const all = [...rows.push(line, columns), ...rows.end()];
      const widths = all.map((row) =>
        [...row].reduce((sum, c) => sum + (/[日👍]/u.test(c) ? 2 : 1), 0),
      );
      expect(Math.max(0, ...widths)).toBeLessThanOrEqual(columns);
      expect(all.join("")).toBe(line.replaceAll("\n", ""));
    }),
  );
});

test("a line is cut to fit, with an ellipsis", () => {
  expect(fitted("hello", 5)).toBe("hello");
  expect(fitted("hello!", 5)).toBe("hell…");
  expect(fitted("日本語", 5)).toBe("日本…");
  expect(fitted("日本語", 4)).toBe("日…");
  expect(fitted("x", 0)).toBe("…");
});
