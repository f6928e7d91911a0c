import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DOCUMENT_BYTES_MAX, manifestOf, readDocument } from "#host/images/catalogue/document.ts";
import type { CatalogueDocument } from "#host/images/catalogue/document-schema.ts";
import { CatalogueRefused } from "#host/images/catalogue/refused.ts";
import { encodeManifest } from "#host/images/store/manifest.ts";
import {
  bytesOf,
  type Loose,
  sampleDocument,
  sampleImage,
  sampleUefiVersion,
  sampleVersion,
  sha256,
} from "#test/kit/sample-catalogue.ts";

const EMPTY = sha256("");

function spoilt(change: (document: Loose) => void): Buffer {
  const document = structuredClone(sampleDocument());
  change(document as unknown as Loose);
  return bytesOf(document);
}

/** Sets what is at a path such as `images[0].versions[0].digest`; undefined removes it. */
function withAt(path: string, value: unknown): Buffer {
  return spoilt((document) => {
    const keys = path.split(/[.[\]]+/).filter((key) => key !== "");
    const last = keys.pop() as string;
    const inside = keys.reduce<Loose>((at, key) => at[key] as Loose, document);
    if (value === undefined) delete inside[last];
    else inside[last] = value as Loose;
  });
}

describe("a catalogue document", () => {
  test("is read as it is", () => {
    expect(readDocument(bytesOf(sampleDocument()))).toEqual(sampleDocument());
  });

  test.each<[string, Partial<CatalogueDocument>]>([
    ["no image", { images: [] }],
    ["the largest version", { version: Number.MAX_SAFE_INTEGER }],
    [
      "one version of two images",
      {
        images: [
          sampleImage("a", sampleVersion("a", "1")),
          sampleImage("b", sampleVersion("b", "1")),
        ],
      },
    ],
    ["a leap day", { expires: "2028-02-29T23:59:59Z" }],
  ])("may have %s", (_, change) => {
    const document = sampleDocument(change);
    expect(readDocument(bytesOf(document))).toEqual(document);
  });

  test.each([
    "disk.qcow2",
    "toy/1/disk-1.0~rc+2@x=y_z.raw",
    "https://images.test/a?b=c&d=%20",
    "https://images.test:8443/[x]",
  ])("may have a file at %s", (url) => {
    expect(() => readDocument(withAt("images[0].versions[0].files.kernel.url", url))).not.toThrow();
  });

  const V = "images[0].versions[0]";
  const D = `${V}.files.disk`;
  test.each<[string, unknown, string | RegExp]>([
    ["schema", 2, "schema: is 2; must be 1"],
    ["name", undefined, "name: is missing"],
    ["name", "../x", "name: is '../x'; must be a name"],
    ["more", 1, "more: unknown key"],
    ["version", 0, "version: is 0; must be a whole number from 1"],
    ["version", "7", "version: is '7'"],
    ["version", 7.5, "has the number 7.5; only whole numbers"],
    ["version", 2 ** 63, "has the number 9223372036854776000"],
    ["expires", "2026-02-29T00:00:00Z", "expires: '2026-02-29T00:00:00Z' is no moment"],
    ["expires", "2026-02-28T00:00:00+01:00", "expires: is"],
    ["expires", undefined, "expires: is missing"],
    ["images", {}, "images: is a mapping"],
    ["images[0].versions", [], "images[0].versions: is empty"],
    ["images[0].summary", "a\nb", "images[0].summary: is 'a\\u{a}b'; must be one line"],
    ["images[0].summary", "\u202egnp", "images[0].summary: is '\\u{202e}gnp'"],
    ["images[0].homepage", "javascript:alert(1)", "images[0].homepage: is 'javascript:alert(1)'"],
    ["images[0].labels.Tier", "x", "images[0].labels.Tier: bad name"],
    ["images[0].deprecated.on", "2027-02-29", "images[0].deprecated.on: '2027-02-29' is no date"],
    ["images[0].name", "other", "images[1].name: 'other' is the name at images[0].name already"],
    ["images[1].aliases", ["toy"], "images[1].aliases[0]: 'toy' is the name at images[0].name"],
    ["images[1].aliases", ["toy-latest"], "the name at images[0].aliases[0] already"],
    [
      "images[1].aliases",
      ["x", "x"],
      "images[1].aliases[1]: 'x' is the name at images[1].aliases[0]",
    ],
    ["images[0].versions[1].version", "2", "images[0].versions[1].version: '2' is there twice"],
    [`${V}.digest`, undefined, `${V}.digest: is missing`],
    [`${V}.digest`, sha256("else"), /digest: is \w{64}, but the entry's manifest has \w{64}/],
    [`${V}.digest`, sha256("else").toUpperCase(), "must be a SHA-256: 64 hex digits in lower case"],
    [`${V}.memoryMiBMin`, 129, "but the entry's manifest has"],
    [`${V}.login`, "-oProxyCommand=x", `${V}.login: is '-oProxyCommand=x'`],
    [`${V}.boot.kind`, "bios", `${V}.boot`],
    [`${V}.boot.kernel`, "/boot/vmlinuz", `${V}.boot`],
    [`${V}.files.firmware`, { url: "x" }, `${V}.files.firmware: unknown key`],
    [`${V}.files.kernel`, undefined, `${V}.files.kernel: is missing; boot kind 'kernel' needs it`],
    [
      "images[1].versions[0].files.initrd",
      { url: "x", bytes: 1, sha256: sha256("x") },
      "is not for boot kind 'uefi'",
    ],
    [`${D}.bytes`, undefined, `${D}.bytes: is missing`],
    [`${D}.bytes`, 0, `${D}.bytes: is 0`],
    [`${D}.bytes`, 2 ** 50, `${D}.bytes: is 1125899906842624`],
    [`${D}.sha256`, undefined, `${D}.sha256: is missing`],
    [`${D}.sha256`, EMPTY, `${D}.sha256: is the SHA-256 of an empty file`],
    [`${D}.unpacked`, undefined, `${D}.unpacked: is missing; the disk is zstd`],
    [`${D}.unpacked.bytes`, 0, `${D}.unpacked.bytes: is 0`],
    [`${D}.unpacked.sha256`, EMPTY, `${D}.unpacked.sha256: is the SHA-256 of an empty file`],
    [`${D}.compression`, "none", `${D}.unpacked: is only for a compressed file`],
    [`${D}.compression`, "lzip", `${D}.compression: is 'lzip'`],
    [`${D}.format`, "vmdk", `${D}.format: is 'vmdk'`],
    [`${D}.virtualMiB`, 2 ** 32, `${D}.virtualMiB: is 4294967296`],
    [
      `${V}.files.kernel.sha256`,
      EMPTY,
      `${V}.files.kernel.sha256: is the SHA-256 of an empty file`,
    ],
    ...[
      "http://images.test/disk",
      "file:///etc/shadow",
      "//images.test/disk",
      "/etc/shadow",
      "../disk",
      "a/../../disk",
      "a/./disk",
      "%2e%2e/disk",
      "a\\..\\disk",
      "a b",
      "",
      "https://images.test\\@evil.test/",
      "javascript:1",
      "x?y",
    ].map((url): [string, unknown, string] => [`${D}.url`, url, `${D}.url: is `]),
    [`${D}.url`, "https://user@images.test/disk", `${D}.url: has a user or a password in it`],
    [`${D}.url`, "https://:443", `${D}.url: 'https://:443' is no address`],
  ])("is refused with %s = %j", (path, value, says) => {
    expect(() => readDocument(withAt(path, value))).toThrow(CatalogueRefused);
    expect(() => readDocument(withAt(path, value))).toThrow(says);
  });

  test.each<[string, Uint8Array, string | RegExp]>([
    ["more than 4 MiB", Buffer.alloc(DOCUMENT_BYTES_MAX + 1, 32), "at most 4194304 (4 MiB)"],
    ["4 MiB of nothing", Buffer.alloc(DOCUMENT_BYTES_MAX, 32), "is not JSON"],
    ["4 MiB of brackets", Buffer.alloc(DOCUMENT_BYTES_MAX, "["), "nested deeper than 16 levels"],
    ["a list", Buffer.from("[]"), /^is a list/],
    ["null", Buffer.from("null"), /^is empty/],
    ["a key twice", Buffer.from('{"schema": 1, "schema": 1}'), "has the key 'schema' twice"],
    ["a prototype", Buffer.from('{"__proto__": {"schema": 1}}'), "schema: is missing"],
  ])("is refused when it is %s", (_, bytes, says) => {
    expect(() => readDocument(bytes)).toThrow(CatalogueRefused);
    expect(() => readDocument(bytes)).toThrow(says);
  });

  test("of full length is read in bounded time", () => {
    const version = sampleVersion("toy", "1");
    const images = Array.from({ length: 7 }, (_, image) =>
      sampleImage(
        `toy-${image}`,
        ...Array.from({ length: 400 }, (__, at) => sampleVersion(`toy-${image}`, `${at}`)),
      ),
    );
    expect(version.digest).toBeDefined();
    const bytes = bytesOf(sampleDocument({ images }));
    expect(bytes.length).toBeGreaterThan(DOCUMENT_BYTES_MAX / 2);
    expect(readDocument(bytes).images).toHaveLength(7);
  });
});

describe("the manifest of an entry", () => {
  test("is the same whatever order its keys came in, and of unpacked content", () => {
    const entry = sampleVersion("toy", "1");
    const turned = JSON.parse(JSON.stringify(entry), (_, value: unknown) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).reverse())
        : value,
    ) as typeof entry;
    const { text, digest } = encodeManifest(manifestOf("toy", entry));
    expect(encodeManifest(manifestOf("toy", turned))).toEqual({ text, digest });
    expect(JSON.parse(text)).toMatchObject({
      ...{ name: "toy", version: "1", kernel: { bytes: 50 } },
      disk: { bytes: 4000, sha256: sha256("toy 1 disk "), format: "qcow2", virtualMiB: 512 },
    });
    expect(digest).toBe(entry.digest);
  });

  test("has no boot files for UEFI, and what was fetched where nothing is packed", () => {
    const manifest = manifestOf("other", sampleUefiVersion("other", "1"));
    expect(manifest).toMatchObject({
      boot: { kind: "uefi" },
      disk: { bytes: 4096, format: "raw" },
    });
    expect(Object.keys(manifest)).not.toContain("kernel");
  });
});

describe("whatever the bytes are", () => {
  const readsOrRefuses = (bytes: Uint8Array) => {
    try {
      expect(readDocument(bytes)).toMatchObject({ schema: 1 });
    } catch (error) {
      expect(error).toBeInstanceOf(CatalogueRefused);
      expect((error as Error).message).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
    }
  };

  test("a document is read or refused", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), readsOrRefuses));
    fc.assert(fc.property(fc.json(), (text) => readsOrRefuses(Buffer.from(text))));
  });

  test("and a right one that was spoilt is read or refused", () => {
    const good = bytesOf(sampleDocument());
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 4 }),
      fc.string({ maxLength: 4 }).map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(fc.nat(good.length), piece, fc.nat(30), (at, put, cut) =>
        readsOrRefuses(Buffer.concat([good.subarray(0, at), put, good.subarray(at + cut)])),
      ),
      { numRuns: 300 },
    );
  });

  test("and a right one with another value in any place is read or refused", () => {
    const places: string[][] = [];
    const walk = (value: unknown, path: string[]) => {
      if (path.length > 0) places.push(path);
      if (typeof value !== "object" || value === null) return;
      for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key]);
    };
    walk(sampleDocument(), []);
    fc.assert(
      fc.property(fc.constantFrom(...places), fc.jsonValue({ maxDepth: 3 }), (path, value) =>
        readsOrRefuses(withAt(path.join("."), value)),
      ),
      { numRuns: 500 },
    );
  });
});
