import { describe, expect, test } from "vitest";
import type { CatalogueDocument } from "#host/images/catalogue/document-schema.ts";
import { readPublicKey } from "#host/images/catalogue/minisign.ts";
import {
  type CatalogueSource,
  judge,
  type Seen,
  whyNoLongerGood,
} from "#host/images/catalogue/trust.ts";
import { minisignKey } from "#test/kit/minisign-key.ts";
import {
  bytesOf,
  EXPIRES,
  sampleDocument,
  sampleImage,
  sampleVersion,
} from "#test/kit/sample-catalogue.ts";

const [trusted, stranger] = [minisignKey(), minisignKey()];
const KEY = readPublicKey(trusted.publicLine);
const NOW_MS = Date.parse("2030-05-01T00:00:00Z");
const SKEW_MS = 5 * 60_000;
const SOURCE: CatalogueSource = {
  address: "https://images.test/catalogue.json",
  keys: [KEY],
  allowUnsigned: false,
};
const UNSIGNED_ALLOWED = { ...SOURCE, allowUnsigned: true };

type Asked = Parameters<typeof judge>[0];

/** Judges a document that is signed as it should be, but for `change`. */
function judged(document: CatalogueDocument, change: Partial<Asked> = {}) {
  const text = bytesOf(document);
  const signature = trusted.sign(text);
  return judge({ text, signature, source: SOURCE, seen: [], nowMs: NOW_MS, ...change });
}

/** What a host remembers after it took this document. */
function seenAfter(document: CatalogueDocument, change: Partial<Asked> = {}): Seen {
  const judgement = judged(document, change);
  if ("refused" in judgement) throw new Error(judgement.refused);
  return judgement.seen;
}

describe("a catalogue's signature (I-01)", () => {
  const text = bytesOf(sampleDocument());
  const other = bytesOf(sampleDocument({ version: 8 }));
  const good = trusted.sign(text).toString();

  test.each<[string, Buffer]>([
    ["prehashed", trusted.sign(text)],
    ["legacy", trusted.sign(text, { legacy: true })],
    ["with an altered untrusted comment", Buffer.from(good.replace("of a test", "of anybody"))],
  ])("that is %s is taken", (_, signature) => {
    expect(judged(sampleDocument(), { signature })).toMatchObject({
      document: { name: "house", version: 7 },
      seen: { name: "house", version: 7, source: SOURCE.address },
      isNew: true,
      signedBy: KEY.id,
    });
  });

  test.each<[string, Buffer | undefined, string]>([
    ["missing", undefined, "is not signed"],
    ["of an unknown key", stranger.sign(text), "the trusted keys are"],
    ["over other bytes", trusted.sign(other), "the signature is over other bytes"],
    [
      "with an altered trusted comment",
      Buffer.from(good.replace("a comment", "a Comment")),
      "trusted comment",
    ],
    ["cut short", Buffer.from(good.slice(0, 150)), "has no usable signature"],
  ])("that is %s is refused, unless the source is allowed to be unsigned", (_, signature, why) => {
    expect(judged(sampleDocument(), { signature })).toEqual({
      refused: expect.stringContaining(why),
    });
    expect(judged(sampleDocument(), { signature, source: UNSIGNED_ALLOWED })).toMatchObject({
      document: { version: 7 },
      signedBy: undefined,
    });
  });

  test("is noted also where it is not asked for", () => {
    expect(judged(sampleDocument(), { source: UNSIGNED_ALLOWED })).toMatchObject({
      signedBy: KEY.id,
    });
  });

  test("does not make a wrong document right", () => {
    const text = Buffer.from('{"schema": 1}');
    expect(judged(sampleDocument(), { text, signature: trusted.sign(text) })).toEqual({
      refused: "name: is missing",
    });
  });
});

describe("a catalogue's version (I-02)", () => {
  const seen = [seenAfter(sampleDocument({ version: 2_000_000 }))];

  test.each([
    ["the same again", 2_000_000, false],
    ["the next", 2_000_001, true],
    ["a million more", 3_000_000, true],
  ])("may be %s", (_, version, isNew) => {
    expect(judged(sampleDocument({ version }), { seen })).toMatchObject({
      isNew,
      seen: { version },
    });
  });

  test.each([
    ["an older one", 1_999_999, "older than 2000000, which this host has taken (a rollback)"],
    ["a million and one more", 3_000_001, "more than 1000000 above 2000000 (a fast-forward)"],
    ["the largest there is", Number.MAX_SAFE_INTEGER, "(a fast-forward)"],
  ])("may not be %s", (_, version, why) => {
    expect(judged(sampleDocument({ version }), { seen })).toEqual({
      refused: expect.stringContaining(why),
    });
  });

  test("of 2^63 is no version", () => {
    const text = Buffer.from(
      bytesOf(sampleDocument()).toString().replace('"version":7', '"version":9223372036854775808'),
    );
    expect(judged(sampleDocument(), { text, signature: trusted.sign(text), seen })).toEqual({
      refused: expect.stringContaining("9223372036854775808; only whole numbers"),
    });
  });

  test("may not be the same with other content", () => {
    const document = sampleDocument({ version: 2_000_000, images: [] });
    expect(judged(document, { seen })).toEqual({
      refused: "is version 2000000 as before, but with other content",
    });
  });
});

describe("a catalogue's expiry (I-02)", () => {
  test.each([
    ["before it", -1],
    ["at its moment", 0],
    ["within the clock's skew", SKEW_MS],
  ])("holds it good %s", (_, afterMs) => {
    const nowMs = Date.parse(EXPIRES) + afterMs;
    expect(judged(sampleDocument(), { nowMs })).toMatchObject({ document: { version: 7 } });
  });

  test("refuses it after that, also one that was taken before", () => {
    const nowMs = Date.parse(EXPIRES) + SKEW_MS + 1;
    const refused = { refused: `has expired: it was good until ${EXPIRES}` };
    expect(judged(sampleDocument(), { nowMs })).toEqual(refused);
    expect(judged(sampleDocument(), { nowMs, seen: [seenAfter(sampleDocument())] })).toEqual(
      refused,
    );
  });
});

describe("a catalogue that was taken", () => {
  const document = sampleDocument();
  const text = bytesOf(document);
  const good = { document, text, signature: trusted.sign(text) };

  test("is good as long as it has not expired and its key is trusted", () => {
    expect(whyNoLongerGood(good, SOURCE, NOW_MS)).toBeUndefined();
    const keys = [readPublicKey(stranger.publicLine)];
    expect(whyNoLongerGood(good, { ...SOURCE, keys }, NOW_MS)).toContain("is signed by key");
    expect(whyNoLongerGood(good, { ...UNSIGNED_ALLOWED, keys }, NOW_MS)).toBeUndefined();
    const lateMs = Date.parse(EXPIRES) + SKEW_MS + 1;
    expect(whyNoLongerGood(good, SOURCE, lateMs)).toBe(`has expired: it was good until ${EXPIRES}`);
  });
});

describe("a catalogue's name", () => {
  const seen = [seenAfter(sampleDocument())];
  const elsewhere = { ...SOURCE, address: "/srv/images/catalogue.json" };

  test("is one for each source", () => {
    expect(judged(sampleDocument({ version: 8 }), { seen })).toMatchObject({ isNew: true });
    expect(judged(sampleDocument({ version: 8, name: "home" }), { seen })).toEqual({
      refused: "is called 'home'; this source's catalogue is 'house'",
    });
  });

  test("belongs to the source that had it first", () => {
    const other = sampleDocument({ name: "home" });
    expect(judged(other, { seen, source: elsewhere })).toMatchObject({ seen: { name: "home" } });
    expect(judged(sampleDocument({ version: 8 }), { seen, source: elsewhere })).toEqual({
      refused: "is called 'house', which is the catalogue from https://images.test/catalogue.json",
    });
  });
});

describe("a version of an image", () => {
  const withToys = (version: number, ...toys: Parameters<typeof sampleVersion>[]) =>
    sampleDocument({
      version,
      images:
        toys.length === 0 ? [] : [sampleImage("toy", ...toys.map((toy) => sampleVersion(...toy)))],
    });
  const seen = [seenAfter(withToys(1, ["toy", "1", "old"]))];

  test("may come, stay and go", () => {
    const both = withToys(2, ["toy", "2", "new"], ["toy", "1", "old"]);
    expect(judged(both, { seen })).toMatchObject({ isNew: true });
    expect(judged(withToys(2), { seen })).toMatchObject({ isNew: true });
  });

  test("may not become another image, not even after it was away", () => {
    const why = {
      refused: expect.stringMatching(/^has toy:1 with digest .* versions never change$/),
    };
    expect(judged(withToys(2, ["toy", "1", "new"]), { seen })).toEqual(why);
    const away = [seenAfter(withToys(2), { seen })];
    expect(judged(withToys(3, ["toy", "1", "new"]), { seen: away })).toEqual(why);
    expect(judged(withToys(3, ["toy", "1", "old"]), { seen: away })).toMatchObject({ isNew: true });
  });
});
