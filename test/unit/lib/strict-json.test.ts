import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseStrictJson, StrictJsonError } from "#lib/strict-json.ts";

const read = (text: string | Uint8Array) =>
  parseStrictJson(typeof text === "string" ? Buffer.from(text) : text, 16);
const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

describe("strict JSON", () => {
  test.each([
    ["16 levels", nested(16), JSON.parse(nested(16))],
    ["brackets and commas in strings", '{"a": "[[[{{,\\"", "b": "a"}', { a: '[[[{{,"', b: "a" }],
    ["one key in two objects", '[{"a": 1}, {"a": {"a": 2}}]', [{ a: 1 }, { a: { a: 2 } }]],
    ["a value that is a key too", '{"a": "b", "b": ["a", "b"]}', { a: "b", b: ["a", "b"] }],
    [
      "the largest whole numbers",
      "[9007199254740991, -9007199254740991, 0]",
      [2 ** 53 - 1, 1 - 2 ** 53, 0],
    ],
    ["the words", "[true, false, null]", [true, false, null]],
  ])("may hold %s", (_, text, value) => {
    expect(read(text)).toEqual(value);
  });

  test.each<[string, string | Uint8Array, string]>([
    ["17 levels", nested(17), "nested deeper than 16 levels"],
    ["two million levels", "[".repeat(2_000_000), "nested deeper than 16 levels"],
    ["a key twice", '{"a": 1, "b": 2, "a": 1}', "has the key 'a' twice"],
    ["a key twice, once escaped", '{"a": 1, "\\u0061": 1}', "has the key 'a' twice"],
    ["a key twice, deep inside", '{"x": [{"\\n": [], "\\n": 1}]}', "has the key '\\u{a}' twice"],
    ["2^53", "[9007199254740992]", "only whole numbers below 2^53"],
    ["2^63", '{"version": 9223372036854775808}', "only whole numbers"],
    ["a fraction", "[1.0]", "only whole numbers"],
    ["an exponent", "[1e3]", "only whole numbers"],
    ["minus nothing", "[-0]", "only whole numbers"],
    ["a number that begins with 0", "[01]", "only whole numbers"],
    ["a byte order mark", "\ufeff{}", "is not JSON"],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), "is not text in UTF-8"],
    ["nothing", "", "is not JSON"],
    ["a string without an end", '{"a', "is not JSON"],
    ["a backslash at the end", '"\\', "is not JSON"],
    ["two values", "{} {}", "is not JSON"],
    ["a trailing comma", "[1,]", "is not JSON"],
    ["a comment", "// x\n{}", "is not JSON"],
    ["closing brackets alone", "]]}}", "is not JSON"],
  ])("may not hold %s", (_, text, says) => {
    expect(() => read(text)).toThrow(StrictJsonError);
    expect(() => read(text)).toThrow(says);
  });

  test("reads as JSON.parse does whatever it takes, and it takes all JSON of whole numbers", () => {
    const value = fc.jsonValue({ maxDepth: 5 }).filter((each) => {
      const text = JSON.stringify(each);
      return !/[.eE]/.test(text.replace(/"(?:[^"\\]|\\.)*"/g, "")) && !text.includes("-0");
    });
    fc.assert(
      fc.property(value, (each) => {
        const text = JSON.stringify(each, (_, inner: unknown) =>
          typeof inner === "number" && !Number.isSafeInteger(inner) ? 1 : inner,
        );
        expect(read(text)).toEqual(JSON.parse(text));
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\01-ea .') }), (text) => {
        try {
          expect(read(text)).toEqual(JSON.parse(text));
        } catch (error) {
          expect(error).toBeInstanceOf(StrictJsonError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
