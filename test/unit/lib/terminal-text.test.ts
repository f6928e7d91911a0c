import fc from "fast-check";
import { expect, test } from "vitest";
import { TerminalText } from "#lib/terminal-text.ts";

function shown(...pieces: (string | Uint8Array)[]): string {
  const text = new TerminalText();
  const encoder = new TextEncoder();
  const out = pieces.map((p) => text.push(typeof p === "string" ? encoder.encode(p) : p)).join("");
  return out + text.end();
}

test("plain text, tabs and other alphabets pass as they are", () => {
  expect(shown("hello\tworld\nпривет 日本 👍 é\n")).toBe("hello\tworld\nпривет 日本 👍 é\n");
});

test("escape sequences become readable and do nothing", () => {
  expect(shown("\u001b[2J\u001b]52;c;AAAA\u0007")).toBe("␛[2J␛]52;c;AAAA␇");
  expect(shown("\u0000\u0008\u007f\u009b\u202e")).toBe("␀␈␡\\u{9b}\\u{202e}");
});

test("carriage returns never overwrite", () => {
  expect(shown("a\r\nb\r\r\nc\rd\r")).toBe("a\nb\nc\nd\n");
  expect(shown("a\r", "\nb\r", "c")).toBe("a\nb\nc");
});

test("characters split across pieces are whole again, and broken ones are marked", () => {
  const bytes = new TextEncoder().encode("日\u001b");
  expect(shown(bytes.subarray(0, 1), bytes.subarray(1, 2), bytes.subarray(2))).toBe("日␛");
  expect(shown(Uint8Array.of(0xff, 0x41, 0xe6))).toBe("\ufffdA\ufffd");
});

test("whatever comes in, however it is cut, only newline and tab come out as controls", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc
      .array(fc.constantFrom(0x0d, 0x0a, 0x1b, 0xc2, 0x9b, 0xe2, 0x80, 0xae, 0x41, 0x7f))
      .map((bytes) => Uint8Array.from(bytes)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const whole = shown(...pieces);
      expect(whole).not.toMatch(/[^\P{Cc}\n\t]|\p{Cf}|\p{Zl}|\p{Zp}/u);
      expect(shown(Buffer.concat(pieces))).toBe(whole);
    }),
    { numRuns: 2000 },
  );
});
