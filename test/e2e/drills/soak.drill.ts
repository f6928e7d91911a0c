import { writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { scratchFolder } from "#test/kit/scratch.ts";
import { soakRequest } from "#test/kit/soak-request.ts";
import { MachineStage } from "./machine-stage.ts";
import { ownLibvirt } from "./run-rows.ts";
import { SOAKS, type SoakOrder } from "./soak/order.ts";
import { soak } from "./soak/soak.ts";
import { inWords } from "./soak/summary.ts";

const libvirt = ownLibvirt();

const WITH_MACHINES = Object.keys(SOAKS).filter((name) => SOAKS[name]?.isPaper !== true);

for (const name of WITH_MACHINES)
  test(name, async () => {
    const { order, summaryPath } = soakRequest<SoakOrder>();
    await using scratch = await scratchFolder();
    const stage = await MachineStage.open(scratch.path, libvirt(), { slots: order.atOnce });
    const summary = await soak(name, order, stage);
    await writeFile(summaryPath, inWords(summary));
    expect(summary.wrong).toEqual([]);
  });
