import { mkdir, readdir, readFile, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { publishCatalogue } from "#host/images/catalogue/publish.ts";
import { CatalogueRefused } from "#host/images/catalogue/refused.ts";
import {
  type AdminFolder,
  adminFolder,
  catalogueYaml,
  contentOf,
  NOW_MS,
  PLAIN_DISK,
  publish,
  versionYaml,
} from "#test/kit/admin-catalogue.ts";

const ONE = catalogueYaml(versionYaml("1", PLAIN_DISK));

describe("publishing is refused, and writes nothing, when", () => {
  const linked =
    (target: string) =>
    async ({ path }: AdminFolder) => {
      await rm(join(path, "toy/disk.raw"));
      await symlink(target, join(path, "toy/disk.raw"));
    };
  const disk = (file: string, more = "") =>
    catalogueYaml(versionYaml("1", `{ file: ${file}, format: raw, virtualMiB: 1${more} }`));
  const withFile = (content: Buffer | string) => (folder: AdminFolder) =>
    folder.write({ "toy/disk.raw": content });
  const asIs = async () => undefined;

  test.each<[string, string, (folder: AdminFolder) => Promise<void>]>([
    [
      "the file is a link within the folder",
      ONE,
      async (folder) => {
        await folder.write({ "store/disk": "a disk" });
        await linked("../store/disk")(folder);
      },
    ],
    ["gzip is gzip", disk("toy/disk.raw", ", compression: gzip"), withFile(gzipSync("a disk"))],
    [
      "zstd is zstd",
      disk("toy/disk.raw", ", compression: zstd"),
      withFile(zstdCompressSync("a disk")),
    ],
    [
      "zstd is two streams",
      disk("toy/disk.raw", ", compression: zstd"),
      withFile(Buffer.concat([zstdCompressSync("a disk"), zstdCompressSync("and more")])),
    ],
    [
      "what is said to be inside is",
      disk("toy/disk.raw", `, compression: gzip, unpacked: ${JSON.stringify(contentOf("a disk"))}`),
      withFile(gzipSync("a disk")),
    ],
  ])("not when %s", async (_, yaml, change) => {
    await using folder = await adminFolder({ "catalogue.yaml": yaml });
    await change(folder);
    await expect(publish(folder)).resolves.toMatchObject({ isWritten: true });
  });

  test.each<[string, string, string | RegExp, (folder: AdminFolder) => Promise<void>]>([
    [
      "there is no catalogue.yaml",
      ONE,
      "catalogue.yaml:1:1: there is no such file",
      ({ path }) => rm(join(path, "catalogue.yaml")),
    ],
    ["it is empty", "", "catalogue.yaml:1:1: is empty", asIs],
    ["it has an unknown key", `${ONE}colour: red\n`, /:\d+:1: colour: unknown key/, asIs],
    [
      "the lifetime has no unit",
      ONE.replace("30d", "30 days"),
      "expires: is '30 days'; did you mean '30d'?",
      asIs,
    ],
    ["the lifetime is too long", ONE.replace("30d", "3651d"), "must be from 1h to 3650d", asIs],
    ["a path goes up", disk("../disk.raw"), "is '../disk.raw'; must be a relative path", asIs],
    ["a path goes up later", disk("toy/../../disk.raw"), "must be a relative path", asIs],
    ["a path is absolute", disk("/etc/passwd"), "must be a relative path", asIs],
    ["a path is an address", disk("https://images.test/x"), "must be a relative path", asIs],
    [
      "a link leads out",
      ONE,
      "toy/disk.raw: leads out of the folder, to /etc/passwd",
      linked("/etc/passwd"),
    ],
    ["a link leads up", ONE, "toy/disk.raw: leads out of the folder", linked("../..")],
    ["a link leads nowhere", ONE, "toy/disk.raw: there is no such file", linked("nowhere")],
    ["a file is missing", disk("toy/else.raw"), "toy/else.raw: there is no such file", asIs],
    ["a file is a folder", disk("toy"), "toy: is not a regular file", asIs],
    ["a file is empty", ONE, "toy/disk.raw: is empty", withFile("")],
    [
      "a packed file is empty inside",
      disk("toy/disk.raw", ", compression: gzip"),
      "toy/disk.raw: is empty",
      withFile(gzipSync("")),
    ],
    [
      "gzip is none",
      disk("toy/disk.raw", ", compression: gzip"),
      "toy/disk.raw: is no gzip file",
      asIs,
    ],
    [
      "gzip is cut",
      disk("toy/disk.raw", ", compression: gzip"),
      "toy/disk.raw: is no gzip file",
      withFile(gzipSync("a disk").subarray(0, -9)),
    ],
    [
      "zstd is none",
      disk("toy/disk.raw", ", compression: zstd"),
      "toy/disk.raw: is no zstd file",
      asIs,
    ],
    [
      "zstd is cut",
      disk("toy/disk.raw", ", compression: zstd"),
      "toy/disk.raw: is no zstd file",
      withFile(zstdCompressSync(Buffer.alloc(300_000, "disk")).subarray(0, -5)),
    ],
    [
      "zeros follow gzip",
      disk("toy/disk.raw", ", compression: gzip"),
      "toy/disk.raw: is no gzip file from byte",
      withFile(Buffer.concat([gzipSync("a disk"), Buffer.alloc(512)])),
    ],
    [
      "text follows zstd",
      disk("toy/disk.raw", ", compression: zstd"),
      "toy/disk.raw: is no zstd file from byte",
      withFile(Buffer.concat([zstdCompressSync("a disk"), Buffer.from("and more")])),
    ],
    [
      "what is said to be inside is not",
      disk(
        "toy/disk.raw",
        `, compression: gzip, unpacked: { bytes: 6, sha256: ${"a".repeat(64)} }`,
      ),
      "toy/disk.raw: unpacks to other bytes than catalogue.yaml says",
      withFile(gzipSync("a disk")),
    ],
    [
      "a plain file is said to unpack",
      disk("toy/disk.raw", `, unpacked: { bytes: 6, sha256: ${"a".repeat(64)} }`),
      "toy/disk.raw: unpacks to other bytes",
      asIs,
    ],
    ["xz is none", disk("toy/disk.raw", ", compression: xz"), "toy/disk.raw: is no xz file", asIs],
    [
      "boot files are missing",
      ONE.replace("{ kind: uefi }", "{ kind: kernel, commandLine: x }"),
      "toy:1.files.kernel: is missing",
      asIs,
    ],
    [
      "boot files are too many",
      ONE.replace("files: { ", "files: { kernel: { file: toy/disk.raw }, "),
      "toy:1.files.kernel: is not for boot kind 'uefi'",
      asIs,
    ],
    [
      "a version is there twice",
      catalogueYaml(versionYaml("1", PLAIN_DISK), versionYaml("1", PLAIN_DISK)),
      "hosts would refuse this catalogue: images[0].versions[1].version: '1' is there twice",
      asIs,
    ],
  ])("%s", async (_, yaml, says, change) => {
    await using folder = await adminFolder({ "catalogue.yaml": yaml });
    await change(folder);
    const refused = await publish(folder).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(CatalogueRefused);
    expect(refused).toHaveProperty(
      "message",
      says instanceof RegExp ? expect.stringMatching(says) : expect.stringContaining(says),
    );
    expect(await readdir(folder.path)).not.toContain("catalogue.json");
  });

  test.each<[string, string | RegExp, (folder: AdminFolder) => Promise<void>]>([
    ["a published version's file changed", "toy:1 would mean another image", withFile("a disK")],
    [
      "a published version's setting changed",
      "toy:1 would mean another image",
      (folder) =>
        folder.write({ "catalogue.yaml": ONE.replace("memoryMiBMin: 256", "memoryMiBMin: 257") }),
    ],
    [
      "the catalogue is called otherwise",
      "is of catalogue 'house', not 'home'",
      (folder) => folder.write({ "catalogue.yaml": ONE.replace("house", "home") }),
    ],
    [
      "the former document is damaged",
      "restore the one that was published",
      (folder) => folder.write({ "catalogue.json": '{"schema": 1' }),
    ],
    [
      "the former document is no file",
      "restore the one that was published",
      async ({ path }) => {
        await rm(join(path, "catalogue.json"));
        await mkdir(join(path, "catalogue.json"));
      },
    ],
  ])("%s", async (_, says, change) => {
    await using folder = await adminFolder({ "catalogue.yaml": ONE });
    await publish(folder);
    await change(folder);
    const before = await readFile(join(folder.path, "catalogue.json")).catch(() => "a folder");
    await expect(publish(folder, { renew: true })).rejects.toThrow(CatalogueRefused);
    await expect(publish(folder, { renew: true })).rejects.toThrow(says);
    const after = await readFile(join(folder.path, "catalogue.json")).catch(() => "a folder");
    expect(after).toEqual(before);
  });

  test("it is stopped", async () => {
    await using folder = await adminFolder({ "catalogue.yaml": ONE });
    const stop = new AbortController();
    const reason = new Error("stopped");
    const onProgress = () => stop.abort(reason);
    const options = { renew: false, nowMs: NOW_MS, onProgress, signal: stop.signal };
    await expect(publishCatalogue(folder.path, options)).rejects.toBe(reason);
    expect(await readdir(folder.path)).not.toContain("catalogue.json");
  });
});
