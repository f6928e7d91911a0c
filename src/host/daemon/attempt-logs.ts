import { stat } from "node:fs/promises";
import { join } from "node:path";
import { RESULT_NAMES, stepLogPath } from "#host/runner/results-folder.ts";
import type { AttemptFolder, LogFile } from "./ports.ts";

/** All logs that an attempt may have on this host: what it printed, its steps' one by one, the machine's console. */
export function logsOf({ grant, results, output }: AttemptFolder): readonly LogFile[] {
  const steps = grant.job.steps.map(({ name }, at) => ({
    log: `step-${at + 1}`,
    path: stepLogPath(results, at + 1, name),
  }));
  const console = { log: "console", path: join(results, RESULT_NAMES.console) };
  return [{ log: "output", path: output }, ...steps, console];
}

/** How long each of them is; those that are not there are left out. */
export async function logSizes(
  logs: readonly LogFile[],
): Promise<readonly { readonly log: string; readonly bytes: number }[]> {
  const sizes = await Promise.all(
    logs.map(async ({ log, path }) => ({
      log,
      bytes: (await stat(path).catch(() => undefined))?.size,
    })),
  );
  return sizes.flatMap(({ log, bytes }) => (bytes === undefined ? [] : [{ log, bytes }]));
}
