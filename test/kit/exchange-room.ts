import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import type {
  ExchangeProgress,
  ImportOrder,
  ImportSettings,
} from "#host/images/exchange/import-image.ts";
import { ExchangeRefused } from "#host/images/exchange/refused.ts";
import type { ImagePlaces } from "#host/images/image-places.ts";
import { verifyStore } from "#host/images/store/verify.ts";
import { scratchFolder } from "./scratch.ts";

const call = promisify(execFile);
const inTime = () => AbortSignal.timeout(50_000);
const silently = () => undefined;
/** Progress that nobody hears of. */
export const quietly = (): ExchangeProgress => ({
  onProgress: silently,
  onBytes: silently,
  signal: inTime(),
});

const SETTINGS: ImportSettings = {
  name: "cloud",
  version: "1",
  architecture: "x86_64",
  boot: { kind: "uefi" },
  seed: "cloud-init",
  login: "debian",
  memoryMiBMin: 512,
  readiness: { consoleSeconds: 60, sshSeconds: 180, settledSeconds: 300 },
  packages: {},
};

/** A store of its own, and a disk to import. */
export type ExchangeRoom = AsyncDisposable & {
  readonly path: string;
  readonly catalogue: ImagePlaces;
  readonly disk: string;
};

/** A store, and a disk of 16 MiB with something in it. */
export async function exchangeRoom(): Promise<ExchangeRoom> {
  const { path, [Symbol.asyncDispose]: remove } = await scratchFolder();
  const disk = join(path, "cloud.qcow2");
  await call("qemu-img", ["create", "-q", "-f", "qcow2", disk, "16M"]);
  await call("qemu-io", ["-f", "qcow2", "-c", "write -P 0x5a 1M 64k", disk]);
  const catalogue = { store: join(path, "images"), recipes: [join(path, "recipes")] };
  return { path, catalogue, disk, [Symbol.asyncDispose]: remove };
}

/** An order to import a disk that boots by UEFI. */
export function files(
  disk: string,
  settings: Partial<ImportSettings> = {},
  more = {},
): ImportOrder {
  return { kind: "files", disk, format: "qcow2", settings: { ...SETTINGS, ...settings }, ...more };
}

/** Why an import or an export was refused. */
export async function refusal(asked: Promise<unknown>): Promise<string> {
  const error = await asked.then(
    () => expect.unreachable("it was taken"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ExchangeRefused);
  return (error as Error).message;
}

/** The store is whole, and nothing is left of what was begun. */
export async function expectNothingHalfMade({ store }: ImagePlaces): Promise<void> {
  expect(await verifyStore(store, undefined, { onBytes: silently, signal: inTime() })).toEqual([]);
  expect(await readdir(join(store, "building")).catch(() => [])).toEqual([]);
}
