import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runTests } from "#test/kit/run-tests.ts";
import { soakEnvironment } from "#test/kit/soak-request.ts";
import { readSoak, SOAK_HELP, SOAKS, SoakUsage } from "./soak/order.ts";

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    const asked = readSoak(args);
    if (asked === undefined) {
      process.stdout.write(SOAK_HELP);
      return 0;
    }
    process.stderr.write(`soak ${asked.name}, seed ${asked.order.seed}\n`);
    return await run(asked.name, asked.order);
  } catch (error) {
    if (!(error instanceof SoakUsage)) throw error;
    process.stderr.write(`${error.message}\n\n${SOAK_HELP}`);
    return 2;
  }
}

async function run(name: string, order: object): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "testbed-soak-"));
  const summaryPath = join(folder, "summary");
  const file = SOAKS[name]?.isPaper ? "soak-power.drill.ts" : "soak.drill.ts";
  const choice = { project: "soak", files: [`test/e2e/drills/${file}`], names: [name] };
  const [test] = await runTests(choice, soakEnvironment({ order, summaryPath }));
  const summary = await readFile(summaryPath, "utf8").catch(() => `soak ${name}: ${test?.says}\n`);
  await rm(folder, { recursive: true, force: true });
  process.stdout.write(`\n${summary}`);
  return test?.isPassed === true ? 0 : 1;
}
