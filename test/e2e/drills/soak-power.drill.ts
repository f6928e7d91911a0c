import { writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { soakRequest } from "#test/kit/soak-request.ts";
import type { SoakOrder } from "./soak/order.ts";
import { powerSoak } from "./soak/power.ts";
import { inWords } from "./soak/summary.ts";

test("F-70", async () => {
  const { order, summaryPath } = soakRequest<SoakOrder>();
  const summary = await powerSoak("F-70", order);
  await writeFile(summaryPath, inWords(summary));
  expect(summary.wrong).toEqual([]);
});
