import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FileLock } from "#lib/file-lock.ts";
import { TEST_STATE } from "#test/kit/house.ts";
import { OwnLibvirt } from "#test/kit/own-libvirt.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { startTestbed } from "#test/kit/testbed.ts";
import { MachineStage, type StageOptions } from "./machine-stage.ts";
import { PaperStage } from "./paper-stage.ts";
import { type Row, titleOf } from "./row.ts";

/** Building the small image takes a minute or two, and happens once. */
const SET_UP_MS = 600_000;

const ROW_MS = 600_000;

type MachineRow = Row & {
  readonly machines: (stage: MachineStage) => Promise<void>;
  readonly lab?: StageOptions;
};
type PaperRow = Row & { readonly fakes: (stage: PaperStage) => Promise<void> };

/** Where the processes' logs of a drill that failed are. */
const FAILURES = `${TEST_STATE}-drill-failures`;

/** Makes a test of each row that is a drill: the fault, and then what must hold after every fault. */
export function runRows(rows: readonly Row[]): void {
  for (const row of rows.filter((one): one is PaperRow => "fakes" in one))
    test(titleOf(row), { timeout: ROW_MS }, async () => {
      const stage = await PaperStage.open();
      expectNothing(await tried(stage, row.fakes));
    });
  const withMachines = rows.filter((one): one is MachineRow => "machines" in one);
  if (withMachines.length === 0) return;
  const libvirt = ownLibvirt();
  for (const row of withMachines)
    test(titleOf(row), { timeout: ROW_MS }, async () => {
      await using scratch = await scratchFolder();
      const stage = await MachineStage.open(scratch.path, libvirt(), row.lab);
      const wrong = await tried(stage, row.machines);
      if (wrong.length > 0) await keep(row, stage.lab.said);
      expectNothing(wrong);
    });
}

/** Fails with all that is wrong as it stands: the first line goes into the table. */
function expectNothing(wrong: readonly string[]): void {
  if (wrong.length > 0) throw new Error(wrong.join("\n"));
}

type Stage = AsyncDisposable & { check(): Promise<readonly string[]> };

/** All that went wrong, in the order in which it was noticed: an end that throws must not hide why. */
async function tried<S extends Stage>(stage: S, drill: (stage: S) => Promise<void>) {
  const wrong: string[] = [];
  try {
    await drill(stage);
    wrong.push(...(await stage.check()));
  } catch (error) {
    wrong.push(`the drill: ${(error as Error).message}`);
  }
  try {
    await stage[Symbol.asyncDispose]();
  } catch (error) {
    wrong.push(`the end: ${(error as Error).message}`);
  }
  return wrong;
}

async function keep(row: Row, said: string): Promise<void> {
  await mkdir(FAILURES, { recursive: true });
  const name = titleOf(row)
    .replaceAll(/[^A-Za-z0-9-]+/g, "-")
    .slice(0, 80);
  await writeFile(join(FAILURES, `${name}.log`), said);
}

/** A libvirtd of a file's own, and the small image, ready before its first test. */
export function ownLibvirt(): () => OwnLibvirt {
  let own: OwnLibvirt | undefined;
  let lock: FileLock | undefined;
  beforeAll(async () => {
    const built = await startTestbed(["image", "build", "micro"]).done;
    expect(built.exitCode, built.stderr).toBe(0);
    lock = FileLock.tryTake(`${TEST_STATE}-libvirt.lock`);
    expect(lock, "other drills run on this host").toBeDefined();
    own = await OwnLibvirt.start();
  }, SET_UP_MS);
  afterAll(async () => {
    await own?.[Symbol.asyncDispose]();
    lock?.[Symbol.dispose]();
  }, SET_UP_MS);
  return () => own ?? expect.fail("libvirtd did not start");
}
