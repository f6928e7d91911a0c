import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readSecretFile, readTokenFile, thisReader } from "#config/secret-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "testbed-secret-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(content: string, mode = 0o600): string {
  const path = join(folder, "token");
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

const uid = process.getuid?.() ?? 0;
const gid = process.getgid?.() ?? 0;
const reader = { credentialsFolder: undefined, uid, gids: [gid] };

test("a file of ours alone is read; a token loses the space around it", async () => {
  const path = write(" tb_abc.def-1 \n");
  expect(await readSecretFile("tokenFile", path, reader)).toBe(" tb_abc.def-1 \n");
  expect(await readTokenFile("tokenFile", path, reader)).toBe("tb_abc.def-1");
});

test.each([0o604, 0o602, 0o620, 0o640, 0o660, 0o777])("mode %o is refused", async (mode) => {
  const path = write("s3cret", mode);
  const reading = readSecretFile("tokenFile", path, reader);
  await expect(reading).rejects.toThrow(/^tokenFile: .*token: may be read or changed by others/);
  await expect(reading).rejects.not.toThrow("s3cret");
});

test("another user's file is refused: that user may change it", async () => {
  const path = write("s3cret");
  const other = { ...reader, uid: uid + 1 };
  const reading = readSecretFile("tokenFile", path, other);
  // Root's own file is nobody's to change but root's.
  await (uid === 0
    ? expect(reading).resolves.toBe("s3cret")
    : expect(reading).rejects.toThrow("belongs to another user"));
});

test.runIf(uid === 0)(
  "root's file may be read by our group, and not be written by it",
  async () => {
    const other = { ...reader, uid: 12_345 };
    const stranger = { ...other, gids: [gid + 1] };
    expect(await readSecretFile("tokenFile", write("a", 0o640), other)).toBe("a");
    await expect(readSecretFile("tokenFile", write("a", 0o640), stranger)).rejects.toThrow(
      "others",
    );
    await expect(readSecretFile("tokenFile", write("a", 0o660), other)).rejects.toThrow("others");
  },
);

test("a credential is looked for where systemd puts it, with whatever mode it gave", async () => {
  write("abc\n", 0o440);
  const unit = { ...reader, credentialsFolder: folder };
  expect(await readTokenFile("tokenFile", "credential:token", unit)).toBe("abc");
  await expect(readTokenFile("tokenFile", "credential:other", unit)).rejects.toThrow(
    `tokenFile: ${folder}/other: there is no such file`,
  );
  await expect(readTokenFile("tokenFile", "credential:token", reader)).rejects.toThrow(
    "$CREDENTIALS_DIRECTORY is not set",
  );
  expect(thisReader({ CREDENTIALS_DIRECTORY: folder }).credentialsFolder).toBe(folder);
  expect(thisReader({})).toMatchObject({ credentialsFolder: undefined, uid });
});

test.each([
  ["nothing", "", /is empty/],
  ["two lines", "a\nb\n", /holds no token/],
  ["a control character", "a\u0007b", /holds no token/],
  ["far too much", "a".repeat(70_000), /longer than 64 KiB/],
])("%s is no token", async (_, content, says) => {
  await expect(readTokenFile("tokenFile", write(content), reader)).rejects.toThrow(says);
});

test("a folder and a missing file are refused by name", async () => {
  await expect(readSecretFile("tls.key", folder, reader)).rejects.toThrow(
    "is a folder, not a file",
  );
  await expect(readSecretFile("tls.key", `${folder}/none`, reader)).rejects.toThrow(
    `tls.key: ${folder}/none: there is no such file`,
  );
});
