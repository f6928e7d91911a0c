import { run, type SpawnOptions } from "#lib/spawn.ts";

/**
 * Runs a program with mounts and process numbers of its own (unshare(1)), so that what it mounts is never below a folder that we
 * remove, and all that it starts dies with its first process, which dies with us (setpriv(1), --pdeathsig). As `run`.
 */
export async function runConfined(
  argv: readonly string[],
  options: SpawnOptions & { readonly isOffline?: boolean },
): Promise<string> {
  const { isOffline = false, ...rest } = options;
  const net = isOffline ? ["--net"] : [];
  return await run("setpriv", [...CONFINED, ...net, ...argv], rest);
}

const CONFINED = [
  "--pdeathsig=KILL",
  "unshare",
  "--mount",
  "--propagation=private",
  "--pid",
  "--fork",
  "--kill-child",
];
