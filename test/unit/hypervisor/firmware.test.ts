import { open, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Firmwares, readyFirmware, variablesPath } from "#host/hypervisor/firmware.ts";
import { PAPER_IMAGE } from "#test/kit/orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const UEFI = { ...PAPER_IMAGE, boot: { kind: "uefi" } } as const;

/** A host with firmware for one architecture, in a folder that is the machine's too. */
async function host() {
  const { path: folder, ...scope } = await scratchFolder();
  const [code, variables] = [join(folder, "CODE.fd"), join(folder, "VARS.fd")];
  await writeFile(code, "code");
  await writeFile(variables, "as delivered");
  const missing = { code: "/nowhere/CODE.fd", variables, debianPackage: "firmware-for-arm" };
  const firmwares: Firmwares = {
    x86_64: { code, variables, debianPackage: "firmware" },
    aarch64: missing,
  };
  return { folder, firmwares, ...scope };
}

test("a machine that boots by UEFI has variables of its own, closed to others, and fresh ones each time", async () => {
  await using room = await host();
  const { folder, firmwares } = room;
  const path = variablesPath(folder);
  expect(await readyFirmware({ folder, image: UEFI }, firmwares)).toBe(path);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await writeFile(path, "what a guest wrote");
  await using before = await open(path);
  await readyFirmware({ folder, image: UEFI }, firmwares);
  expect(await readFile(path, "utf8")).toBe("as delivered");
  // A file of its own again, whoever the one before was given to.
  expect(await before.readFile("utf8")).toBe("what a guest wrote");
});

test("a machine whose kernel lies beside its disk has none", async () => {
  await using room = await host();
  const { folder, firmwares } = room;
  expect(await readyFirmware({ folder, image: PAPER_IMAGE }, firmwares)).toBeUndefined();
  await expect(stat(variablesPath(folder))).rejects.toMatchObject({ code: "ENOENT" });
});

test("a host without firmware is told which package has it", async () => {
  await using room = await host();
  const { folder, firmwares } = room;
  const image = { ...UEFI, architecture: "aarch64" } as const;
  await expect(readyFirmware({ folder, image }, firmwares)).rejects.toMatchObject({
    code: "host-tool-missing",
    message: expect.stringContaining("apt-get install firmware-for-arm"),
  });
});
