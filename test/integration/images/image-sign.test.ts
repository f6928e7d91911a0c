import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readPublicKey } from "#host/images/catalogue/minisign.ts";
import { judge } from "#host/images/catalogue/trust.ts";
import {
  type AdminFolder,
  adminFolder,
  catalogueYaml,
  contentOf,
  PLAIN_DISK,
  versionYaml,
} from "#test/kit/admin-catalogue.ts";
import { command } from "#test/kit/command.ts";
import { ROOT } from "#test/kit/house.ts";

const ONE = catalogueYaml(versionYaml("1", PLAIN_DISK));

function sign({ path }: AdminFolder, ...more: string[]) {
  return command(join(ROOT, "bin/testbed"), ["image", "sign", path, ...more]);
}

/** What a host that trusts this folder's key says of its catalogue. */
async function judged({ path }: AdminFolder) {
  const key = readPublicKey(await readFile(join(path, "keys/images.pub"), "utf8"));
  const address = join(path, "catalogue.json");
  return judge({
    text: await readFile(address),
    signature: await readFile(`${address}.minisig`).catch(() => undefined),
    source: { address, keys: [key], allowUnsigned: false },
    seen: [],
    nowMs: Date.now(),
  });
}

test("a host takes what `testbed image sign` wrote once the printed command has signed it", async () => {
  await using folder = await adminFolder({ "catalogue.yaml": ONE, "keys/readme": "" });
  const [pub, secret] = [join(folder.path, "keys/images.pub"), join(folder.path, "keys/my key")];
  await command("minisign", ["-G", "-W", "-p", pub, "-s", secret]);
  const signed = await sign(folder, "--key", secret);
  expect(signed).toMatchObject({
    exitCode: 0,
    stderr: "reading the files of toy:1\n",
    stdout: expect.stringMatching(
      /^catalogue house, version 1: 1 image, expires .*Z\n {2}new image toy\n/,
    ),
  });
  expect(await judged(folder)).toEqual({ refused: "is not signed" });

  const printed = signed.stdout.split("\n").find((line) => line.startsWith("  minisign -S"));
  expect(printed).toContain(`-s '${secret}'`);
  expect(await command("sh", ["-c", printed as string])).toMatchObject({ exitCode: 0 });
  expect(await judged(folder)).toMatchObject({ document: { name: "house", version: 1 } });
  const check = signed.stdout.split("\n").find((line) => line.startsWith("  minisign -V")) ?? "";
  const checked = await command("sh", ["-c", check.replace("minisign.pub", pub)]);
  expect(checked.stdout).toMatch(/^Trusted comment: catalogue house, version 1, expires \d{4}-/m);

  expect((await sign(folder, "--renew")).stdout).toContain("catalogue house, version 2:");
  expect(await judged(folder)).toEqual({
    refused: expect.stringContaining("the signature is over other bytes"),
  });
});

test("`testbed image sign --json` says what is to be done; again it says that nothing changed", async () => {
  await using folder = await adminFolder({ "catalogue.yaml": ONE });
  const path = join(folder.path, "catalogue.json");
  const first = JSON.parse((await sign(folder, "--json")).stdout) as { expires: string };
  expect(first).toEqual({
    ...{ path, name: "house", version: 1, expires: first.expires, written: true },
    changes: ["new image toy", "new version toy:1"],
    sign: [
      ...["minisign", "-S", "-x", `${path}.minisig`, "-m", path],
      ...["-t", `catalogue house, version 1, expires ${first.expires}`],
    ],
    verify: ["minisign", "-V", "-p", "minisign.pub", "-x", `${path}.minisig`, "-m", path],
  });
  const again = await sign(folder, "--json");
  expect(JSON.parse(again.stdout)).toMatchObject({ version: 1, written: false, changes: [] });
  expect((await sign(folder)).stdout).toContain("nothing changed, nothing written");
});

test("`testbed image sign` of what cannot be published is a wrong command line", async () => {
  await using folder = await adminFolder({
    "catalogue.yaml": ONE.replace("toy/disk.raw", "/etc/passwd"),
  });
  expect(await sign(folder)).toMatchObject({
    ...{ exitCode: 2, stdout: "" },
    stderr: expect.stringMatching(
      /catalogue\.yaml:\d+:\d+: images.0.versions.0.files.disk.file: is '\/etc\/passwd'; must be a relative path/,
    ),
  });
  await folder.write({ "catalogue.yaml": ONE });
  expect(await sign(folder)).toMatchObject({ exitCode: 0 });
  await folder.write({ "toy/disk.raw": "another disk" });
  const altered = await sign(folder, "--json");
  expect(altered.exitCode).toBe(2);
  expect(JSON.parse(altered.stdout)).toMatchObject({
    error: { exitCode: 2, message: expect.stringContaining("toy:1 would mean another image") },
  });
});

test.each([
  ["xz", "xz", ["xz"]],
  ["zst", "zstd", ["zstd", "--rm"]],
])(
  "`testbed image sign` unpacks .%s as hosts do, of several streams too",
  async (suffix, compression, [file = "", ...args]) => {
    await using folder = await adminFolder({
      "toy/a": "a disk, ",
      "toy/b": "and more of it",
      "catalogue.yaml": catalogueYaml(
        versionYaml(
          "1",
          `{ file: toy/disk, compression: ${compression}, format: raw, virtualMiB: 1 }`,
        ),
      ),
    });
    const packed: Buffer[] = [];
    for (const name of ["a", "b"]) {
      const path = join(folder.path, "toy", name);
      expect(await command(file, [...args, "-q", path])).toMatchObject({ exitCode: 0 });
      packed.push(await readFile(`${path}.${suffix}`));
    }
    await folder.write({ "toy/disk": Buffer.concat(packed) });
    expect(await sign(folder)).toMatchObject({ exitCode: 0 });
    const [version] = (await folder.document()).images[0]?.versions ?? [];
    expect(version?.files.disk.unpacked).toEqual(contentOf("a disk, and more of it"));
  },
);
