import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readPublicKey, verifySignature } from "#host/images/catalogue/minisign.ts";
import { CatalogueRefused } from "#host/images/catalogue/refused.ts";
import { minisignKey } from "#test/kit/minisign-key.ts";

const CONTENT = Buffer.from("what is signed");
const ID = Buffer.from("0123456789abcdef", "hex");
const [mine, namesake, other] = [minisignKey(ID), minisignKey(ID), minisignKey()];
const MINE = readPublicKey(mine.publicLine);

function edited(change: (lines: string[]) => void, signature = mine.sign(CONTENT)): Buffer {
  const lines = signature.toString().split("\n");
  change(lines);
  return Buffer.from(lines.join("\n"));
}

/** The line's first 64 characters and more are of the signature; this changes one bit of it. */
function flipped(line: string | undefined, byte: number): string {
  const bytes = Buffer.from(line ?? "", "base64");
  bytes[byte] = (bytes[byte] ?? 0) ^ 1;
  return bytes.toString("base64");
}

describe("a public key", () => {
  test.each([
    ["the line alone", mine.publicLine],
    ["the line and its end", `${mine.publicLine}\r\n`],
    ["the file", `untrusted comment: minisign public key\n${mine.publicLine}\n`],
  ])("is read from %s", (_, text) => {
    expect(readPublicKey(text).id).toBe("EFCDAB8967452301");
  });

  test("has an id as minisign writes it, without zeros before it", () => {
    const { publicLine } = minisignKey(Buffer.from("010203040506070f", "hex"));
    expect(readPublicKey(publicLine).id).toBe("F07060504030201");
  });

  test.each([
    ["nothing", ""],
    ["a shorter line", mine.publicLine.slice(0, -1)],
    ["a longer line", `${mine.publicLine}A`],
    ["another algorithm", `RU${mine.publicLine.slice(2)}`],
    ["no base64", `${mine.publicLine.slice(0, -1)}*`],
    ["a line of something else before it", `comment: x\n${mine.publicLine}`],
    ["a third line", `untrusted comment: x\n${mine.publicLine}\n${mine.publicLine}`],
    ["two keys", `${mine.publicLine}\n${other.publicLine}`],
    ["a signature", mine.sign(CONTENT).toString()],
  ])("is not read from %s, which is not quoted", (_, text) => {
    expect(() => readPublicKey(text)).toThrow(CatalogueRefused);
    expect(() => readPublicKey(text)).toThrow(/^is no minisign public key/);
  });
});

describe("a signature", () => {
  test.each([
    ["prehashed", mine.sign(CONTENT)],
    ["legacy", mine.sign(CONTENT, { legacy: true })],
    [
      "with another untrusted comment",
      edited((lines) => lines.splice(0, 1, "untrusted comment: x")),
    ],
    ["with line ends of DOS", Buffer.from(mine.sign(CONTENT).toString().replaceAll("\n", "\r\n"))],
    ["without its last line end", Buffer.from(mine.sign(CONTENT).toString().trimEnd())],
  ])("that is %s is taken", (_, signature) => {
    expect(verifySignature(CONTENT, signature, [MINE])).toEqual({
      keyId: MINE.id,
      trustedComment: "a comment",
    });
  });

  test("is taken from whichever key made it, also of two with one id", () => {
    const keys = [other, namesake, mine].map(({ publicLine }) => readPublicKey(publicLine));
    expect(verifySignature(CONTENT, mine.sign(CONTENT), keys)).toMatchObject({ keyId: MINE.id });
  });

  test.each<[string, Buffer, RegExp]>([
    ["an unknown key", other.sign(CONTENT), /is signed by key \w{16}; the trusted keys are EFCD/],
    ["a key with a trusted one's id", namesake.sign(CONTENT), /the signature is over other bytes/],
    ["other bytes", mine.sign(Buffer.from("else")), /the signature is over other bytes/],
    ["other bytes, legacy", mine.sign(Buffer.from("else"), { legacy: true }), /other bytes/],
    [
      "an altered trusted comment",
      edited((lines) => lines.splice(2, 1, "trusted comment: b comment")),
      /trusted comment is not what/,
    ],
    [
      "another one's trusted comment and its signature",
      edited((lines) =>
        lines.splice(2, 2, ...namesake.sign(CONTENT).toString().split("\n").slice(2, 4)),
      ),
      /trusted comment is not what/,
    ],
    ["a flipped bit", edited((lines) => lines.splice(1, 1, flipped(lines[1], 40))), /other bytes/],
    [
      "legacy said to be prehashed",
      edited(
        (lines) => lines.splice(1, 1, `RU${lines[1]?.slice(2)}`),
        mine.sign(CONTENT, { legacy: true }),
      ),
      /other bytes/,
    ],
    [
      "an unknown algorithm",
      edited((lines) => lines.splice(1, 1, flipped(lines[1], 0))),
      /algorithm/,
    ],
    ["nothing", Buffer.alloc(0), /does not begin with 'untrusted comment: '/],
    ["no untrusted comment", edited((lines) => lines.splice(0, 1)), /does not begin with/],
    ["no trusted comment", edited((lines) => lines.splice(2, 1)), /third line/],
    ["no global signature", edited((lines) => lines.splice(3, 1)), /fourth line/],
    ["a fifth line", edited((lines) => lines.splice(4, 0, "more")), /more than four lines/],
    ["a short signature", edited((lines) => lines.splice(1, 1, "RUQ=")), /second line/],
    ["no UTF-8", Buffer.from([0xff, 0xfe]), /not text in UTF-8/],
    ["16 KiB and more", Buffer.alloc(16 * 1024 + 1, 65), /16385 bytes long/],
  ])("of %s is refused", (_, signature, why) => {
    expect(() => verifySignature(CONTENT, signature, [MINE])).toThrow(CatalogueRefused);
    expect(() => verifySignature(CONTENT, signature, [MINE])).toThrow(why);
  });

  test("is refused when no key is trusted", () => {
    expect(() => verifySignature(CONTENT, mine.sign(CONTENT), [])).toThrow(/trusted keys are none/);
  });

  test("that is anything at all is refused, and nothing else happens", () => {
    const good = mine.sign(CONTENT);
    const spoilt = fc
      .tuple(fc.nat(good.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), fc.nat(40))
      .map(([at, piece, cut]) =>
        Buffer.concat([good.subarray(0, at), piece, good.subarray(at + cut)]),
      );
    const anything = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));
    const commentEnd = good.indexOf("\n");
    fc.assert(
      fc.property(
        fc.oneof(
          anything,
          spoilt,
          fc.string().map((text) => Buffer.from(text)),
        ),
        (file) => {
          try {
            verifySignature(CONTENT, file, [MINE]);
          } catch (error) {
            expect(error).toBeInstanceOf(CatalogueRefused);
            return;
          }
          // Taken: then only the comment that is covered by nothing differs, or the ends of lines.
          const covered = file.toString().replaceAll("\r\n", "\n").trimEnd().split("\n").slice(1);
          expect(covered.join("\n")).toBe(
            good
              .subarray(commentEnd + 1)
              .toString()
              .trimEnd(),
          );
        },
      ),
      { numRuns: 500 },
    );
  });
});
