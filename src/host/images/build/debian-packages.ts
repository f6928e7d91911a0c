import { Fault } from "#job/fault.ts";
import { run } from "#lib/spawn.ts";

const APT_CACHE_TIMEOUT_MS = 30_000;
const APT_UPDATE_TIMEOUT_MS = 180_000;

/**
 * The versions that this host's package sources offer now. Refreshes apt's lists once when a package is not in them, as
 * on a fresh host. Throws image-build-failed when a package is nowhere, and SpawnError when apt itself fails.
 */
export async function packageVersions(
  names: readonly string[],
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  let versions = await askApt(names, signal);
  if (missingOf(names, versions).length > 0) {
    onProgress("refresh package lists");
    await run("apt-get", ["-q", "update"], { timeoutMs: APT_UPDATE_TIMEOUT_MS, signal });
    versions = await askApt(names, signal);
  }
  const missing = missingOf(names, versions);
  if (missing.length > 0)
    throw new Fault(
      "image-build-failed",
      `this host's package sources have no ${missing.join(", ")}. Check /etc/apt/sources.list.d and run: apt-get update`,
      { evidence: { missing } },
    );
  return versions;
}

function missingOf(names: readonly string[], versions: Record<string, string>): string[] {
  return names.filter((name) => versions[name] === undefined);
}

/** Output of `apt-cache policy` (apt-cache(8)): a line with the name and a colon, then indented facts. */
async function askApt(
  names: readonly string[],
  signal: AbortSignal,
): Promise<Record<string, string>> {
  if (names.length === 0) return {};
  const output = await run("apt-cache", ["policy", ...names], {
    timeoutMs: APT_CACHE_TIMEOUT_MS,
    signal,
  });
  return parsePolicy(output);
}

/** Candidate versions by package name; a package without a candidate is left out. */
export function parsePolicy(output: string): Record<string, string> {
  const versions: Record<string, string> = {};
  let name: string | undefined;
  for (const line of output.split("\n")) {
    const heading = /^(\S+):$/.exec(line);
    if (heading !== null) name = heading[1];
    const candidate = /^ {2}Candidate: (\S+)$/.exec(line)?.[1];
    if (name !== undefined && candidate !== undefined && candidate !== "(none)")
      versions[name] = candidate;
  }
  return versions;
}
