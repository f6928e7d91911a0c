import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#job/fault.ts";
import { SpawnError } from "#lib/spawn.ts";
import { runConfined } from "./confined.ts";

const FETCH_TIMEOUT_MS = 900_000;
const UPDATE_TIMEOUT_MS = 180_000;

/**
 * Fetches Debian packages and all that they depend on, as files, into `folder`, which is made. apt itself resolves and verifies
 * them, from this host's sources, as if for a machine that has nothing installed yet: what an image has is known to nobody but
 * its dpkg, which passes over what it has (dpkg(1), --skip-same-version). Refreshes apt's lists once when they name files that are gone.
 * Throws image-build-failed.
 */
export async function fetchDebs(
  packages: Readonly<Record<string, string>>,
  folder: string,
  { onProgress, signal }: { onProgress: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  const scratch = `${folder}.apt`;
  await mkdir(join(folder, "partial"), { recursive: true, mode: 0o755 });
  await mkdir(scratch);
  await writeFile(join(scratch, "status"), "");
  const env = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/root",
    LC_ALL: "C",
    DEBIAN_FRONTEND: "noninteractive",
  };
  const get = (wanted: readonly string[]) =>
    runConfined(["apt-get", ...optionsFor(folder, scratch), "install", ...wanted], {
      timeoutMs: FETCH_TIMEOUT_MS,
      signal,
      env,
    });
  try {
    await get(Object.entries(packages).map(([name, version]) => `${name}=${version}`)).catch(
      async (error: unknown) => {
        signal.throwIfAborted();
        onProgress("refresh package lists");
        const timeoutMs = UPDATE_TIMEOUT_MS;
        await runConfined(["apt-get", "-q", "update"], { timeoutMs, signal, env }).catch(() => {
          throw error;
        });
        await get(Object.keys(packages));
      },
    );
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SpawnError) || error.isMissing) throw error;
    throw new Fault("image-build-failed", `apt cannot fetch the packages: ${error.message}`, {
      cause: error,
      stage: "fetch packages",
      evidence: { stderr: error.stderrTail },
    });
  }
  await rm(join(folder, "partial"), { recursive: true, force: true });
  for (const name of await readdir(folder))
    if (!name.endsWith(".deb")) await rm(join(folder, name), { recursive: true });
}

/** apt.conf(5), apt-get(8). Nothing of this host's own state is read but the lists, and nothing of it is written. */
function optionsFor(folder: string, scratch: string): readonly string[] {
  const settings = {
    "Dir::State::status": join(scratch, "status"),
    "Dir::State::extended_states": join(scratch, "extended_states"),
    "Dir::Cache": scratch,
    "Dir::Cache::archives": `${folder}/`,
    "Dir::Log": scratch,
    "Debug::NoLocking": "true",
    // apt drops to a user of its own for downloads, who cannot write into our folder.
    "APT::Sandbox::User": "root",
    "APT::Install-Recommends": "false",
    "Acquire::Retries": "3",
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  return ["-q", "-y", "--download-only", ...options];
}
