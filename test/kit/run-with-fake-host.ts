import { explainError } from "#cli/exit-code.ts";
import { runJobFile } from "#cli/run/run-job-file.ts";
import { readConfig } from "#config/config.ts";
import { fakeHost } from "#test/fakes/fake-host.ts";

/**
 * `testbed run` on a host without machines, as a process of its own, for tests of signals and terminals:
 * run-with-fake-host.ts FILE RESULTS BOOT_MS [json] [keep]
 */
const [file = "", results = "", bootMs = "0", ...flags] = process.argv.slice(2);
try {
  process.exitCode = await runJobFile(
    {
      file,
      overrides: [],
      results,
      keep: flags.includes("keep"),
      json: flags.includes("json"),
      acceleration: undefined,
      version: "0.0.0",
    },
    readConfig(),
    async () => fakeHost(Number(bootMs)),
  );
} catch (error) {
  const { exitCode, words } = explainError(error);
  process.exitCode = exitCode;
  process.stderr.write(`${words}\n`);
}
