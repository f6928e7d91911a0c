import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readCatalogues, writeCatalogue } from "#host/images/catalogue/catalogue-state.ts";
import type { CatalogueDocument } from "#host/images/catalogue/document-schema.ts";
import { judge } from "#host/images/catalogue/trust.ts";
import { bytesOf, sampleDocument } from "#test/kit/sample-catalogue.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const SIGNATURE = Buffer.from("a signature");

async function take(store: string, document: CatalogueDocument, signature?: Buffer) {
  const text = bytesOf(document);
  const source = { address: "/srv/catalogue.json", keys: [], allowUnsigned: true };
  const judgement = judge({ text, signature, source, seen: [], nowMs: 0 });
  if ("refused" in judgement) throw new Error(judgement.refused);
  await writeCatalogue(store, judgement.seen, { text, signature });
  return { seen: judgement.seen, text, folder: join(store, "catalogues", document.name) };
}

describe("what a host keeps of catalogues", () => {
  test("is nothing at first, and then what was taken last", async () => {
    await using store = await scratchFolder();
    expect(await readCatalogues(store.path)).toEqual({ states: [], damage: [], closed: new Set() });
    await take(store.path, sampleDocument(), SIGNATURE);
    await take(store.path, sampleDocument({ name: "another" }));
    const { seen, text, folder } = await take(
      store.path,
      sampleDocument({ version: 8 }),
      SIGNATURE,
    );
    const { states, damage } = await readCatalogues(store.path);
    expect(damage).toEqual([]);
    expect(states.map(({ seen: { name } }) => name)).toEqual(["another", "house"]);
    expect(states[0]?.good?.signature).toBeUndefined();
    expect(states[1]).toEqual({
      seen,
      good: {
        document: sampleDocument({ version: 8 }),
        text: Uint8Array.from(text),
        signature: Uint8Array.from(SIGNATURE),
      },
    });
    const { sha256 } = seen;
    expect((await readdir(folder)).sort()).toEqual(
      [`${sha256}.json`, `${sha256}.json.minisig`, "seen.json"].sort(),
    );
  });

  test("is read once, and again when it is another", async () => {
    await using store = await scratchFolder();
    const documentNow = async () => (await readCatalogues(store.path)).states[0]?.good?.document;
    const { folder, seen } = await take(store.path, sampleDocument());
    const first = await documentNow();
    expect(first).toEqual(sampleDocument());
    expect(await documentNow()).toBe(first);
    await take(store.path, sampleDocument({ version: 8 }));
    expect((await documentNow())?.version).toBe(8);
    await take(store.path, sampleDocument());
    await writeFile(join(folder, `${seen.sha256}.json`), "{}");
    expect(await documentNow()).toBeUndefined();
  });

  test("loses the signature with the document that had one", async () => {
    await using store = await scratchFolder();
    await take(store.path, sampleDocument(), SIGNATURE);
    await take(store.path, sampleDocument());
    const { states } = await readCatalogues(store.path);
    expect(states[0]?.good).toMatchObject({ signature: undefined });
  });

  test("is the former catalogue when the writer died before seen.json", async () => {
    await using store = await scratchFolder();
    const { folder } = await take(store.path, sampleDocument());
    const before = await readFile(join(folder, "seen.json"));
    const former = (await readdir(folder)).filter((file) => file !== "seen.json")[0] as string;
    const formerText = await readFile(join(folder, former));
    await take(store.path, sampleDocument({ version: 8 }));
    await writeFile(join(folder, "seen.json"), before);
    await writeFile(join(folder, former), formerText);
    const { states, damage } = await readCatalogues(store.path);
    expect(damage).toEqual([]);
    expect(states[0]?.good?.document.version).toBe(7);
  });

  test("is closed while its seen.json cannot be read: nothing it must not go back to is forgotten", async () => {
    await using store = await scratchFolder();
    const { folder } = await take(store.path, sampleDocument());
    await rm(join(folder, "seen.json"));
    await mkdir(join(folder, "seen.json"));
    const { states, damage, closed } = await readCatalogues(store.path);
    expect(states).toEqual([]);
    expect(closed).toEqual(new Set(["house"]));
    expect(damage).toEqual([expect.stringContaining("nothing is taken of this catalogue until")]);
  });

  const spoil: [string, string, (folder: string, document: string) => Promise<void>][] = [
    ["no seen.json", "seen.json there is no such file", (folder) => rm(join(folder, "seen.json"))],
    [
      "half a seen.json",
      "seen.json",
      (folder) => writeFile(join(folder, "seen.json"), '{"schema": 1'),
    ],
    [
      "an unknown seen.json",
      "schema is 2; must be 1",
      async (folder) => {
        const text = await readFile(join(folder, "seen.json"), "utf8");
        await writeFile(join(folder, "seen.json"), text.replace('"schema": 1', '"schema": 2'));
      },
    ],
    [
      "another's seen.json",
      "is of catalogue 'home'",
      async (folder) => {
        const text = await readFile(join(folder, "seen.json"), "utf8");
        await writeFile(join(folder, "seen.json"), text.replace('"house"', '"home"'));
      },
    ],
  ];
  test.each(spoil)("is nothing with %s, and that is said", async (_, says, change) => {
    await using store = await scratchFolder();
    const { folder, seen } = await take(store.path, sampleDocument());
    await take(store.path, sampleDocument({ name: "whole" }));
    await change(folder, join(folder, `${seen.sha256}.json`));
    const { states, damage } = await readCatalogues(store.path);
    expect(states.map(({ seen: { name } }) => name)).toEqual(["whole"]);
    expect(damage).toEqual([expect.stringContaining(says)]);
    expect(damage[0]).toContain(`${folder}/seen.json`);
  });

  test.each<[string, string, (document: string) => Promise<void>]>([
    ["missing", "there is no such file", (document) => rm(document)],
    ["altered", "has not the SHA-256 in its name", (document) => writeFile(document, "{}")],
    [
      "a folder",
      "is a folder",
      async (document) => {
        await rm(document);
        await mkdir(document);
      },
    ],
  ])("forgets no version when its document is %s, and that is said", async (_, says, change) => {
    await using store = await scratchFolder();
    const { folder, seen } = await take(store.path, sampleDocument());
    await change(join(folder, `${seen.sha256}.json`));
    const { states, damage } = await readCatalogues(store.path);
    expect(states).toEqual([{ seen, good: undefined }]);
    expect(damage).toEqual([expect.stringContaining(says)]);
  });
});
