import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readPublicKey, verifySignature } from "#host/images/catalogue/minisign.ts";
import { CatalogueRefused } from "#host/images/catalogue/refused.ts";
import { command } from "#test/kit/command.ts";
import { minisignKey } from "#test/kit/minisign-key.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const CONTENT = "what is signed\n";

/** A folder with a key pair of minisign's own making, and files signed with it. */
async function minisignRoom() {
  const { path, ...folder } = await scratchFolder();
  const minisign = async (...args: string[]) => {
    const end = await command("minisign", args);
    return end;
  };
  const made = async (...args: string[]) => {
    const end = await minisign(...args);
    if (end.exitCode !== 0) throw new Error(`minisign ${args.join(" ")}: ${end.stderr}`);
  };
  const [file, pub, secret] = ["file", "key.pub", "secret"].map((name) => join(path, name)) as [
    string,
    string,
    string,
  ];
  await made("-G", "-W", "-p", pub, "-s", secret);
  await writeFile(file, CONTENT);
  return {
    ...{ path, file, pub, minisign, [Symbol.asyncDispose]: folder[Symbol.asyncDispose] },
    key: readPublicKey(await readFile(pub, "utf8")),
    sign: async (...more: string[]) => {
      await made("-S", "-s", secret, "-x", `${file}.minisig`, "-m", file, ...more);
      return await readFile(`${file}.minisig`);
    },
  };
}

describe("minisign and testbed agree", () => {
  test.each([
    ["prehashed", []],
    ["legacy", ["-l"]],
  ])("on a %s signature, its comment, and the key's id", async (_, more) => {
    await using room = await minisignRoom();
    const signature = await room.sign("-t", "catalogue häuser, version 3", ...more);
    const { keyId, trustedComment } = verifySignature(Buffer.from(CONTENT), signature, [room.key]);
    expect(trustedComment).toBe("catalogue häuser, version 3");
    expect(await readFile(room.pub, "utf8")).toContain(keyId);
    const line = (await readFile(room.pub, "utf8")).split("\n")[1] as string;
    expect(readPublicKey(line).id).toBe(keyId);
  });

  test("on what is altered", async () => {
    await using room = await minisignRoom();
    const good = (await room.sign("-t", "a comment")).toString();
    const untrusted = good.replace(/^untrusted comment: .*/, "untrusted comment: anything");
    const cases: [string, string, boolean][] = [
      [CONTENT, good, true],
      [CONTENT, untrusted, true],
      [CONTENT, good.replaceAll("\n", "\r\n"), true],
      [CONTENT, good.trimEnd(), true],
      ["what is signet\n", good, false],
      ["", good, false],
      [CONTENT, good.replace("a comment", "A comment"), false],
      [CONTENT, good.slice(0, 200), false],
      [CONTENT, good.split("\n").slice(0, 2).join("\n"), false],
      [CONTENT, "", false],
      [CONTENT, "garbage", false],
    ];
    for (const [content, signature, isGood] of cases) {
      await writeFile(room.file, content);
      await writeFile(`${room.file}.minisig`, signature);
      const { exitCode } = await room.minisign("-V", "-p", room.pub, "-m", room.file);
      const ours = () => verifySignature(Buffer.from(content), Buffer.from(signature), [room.key]);
      expect([exitCode === 0, signature]).toEqual([isGood, signature]);
      if (isGood) expect(ours()).toMatchObject({ trustedComment: "a comment" });
      else expect(ours).toThrow(CatalogueRefused);
    }
  });

  test("on another key", async () => {
    await using room = await minisignRoom();
    const signature = await room.sign();
    const other = readPublicKey(minisignKey().publicLine);
    const content = Buffer.from(CONTENT);
    expect(() => verifySignature(content, signature, [other])).toThrow("is signed by key");
    expect(verifySignature(content, signature, [other, room.key]).keyId).toBe(room.key.id);
  });

  test("on what the tests sign", async () => {
    await using room = await minisignRoom();
    const key = minisignKey();
    for (const legacy of [false, true]) {
      await writeFile(`${room.file}.minisig`, key.sign(Buffer.from(CONTENT), { legacy }));
      const args = ["-V", "-P", key.publicLine, "-m", room.file];
      expect(await room.minisign(...args)).toMatchObject({ exitCode: 0 });
    }
  });
});
