import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Child } from "#bench/child.ts";
import { isInstalled } from "#lib/programs.ts";
import { run, SpawnError } from "#lib/spawn.ts";

/** Where Debian keeps the programs of each version. */
const DEBIAN = "/usr/lib/postgresql";
const COMMAND_MS = 60_000;
const START_MS = 30_000;
const LOOK_MS = 50;
const STOP_MS = 30_000;

/** Who PostgreSQL runs as when we are root, whom it refuses. Debian's package makes this user. */
const USER = "postgres";

/** A PostgreSQL server that runs until the scope ends. */
export type Postgres = {
  /** For clients, through its Unix socket. */
  readonly url: string;
  readonly version: string;
  /** Has a statement done and returns what it gives, a row on each line. */
  sql(text: string): Promise<string>;
};

/** The folder of the newest PostgreSQL's programs; undefined when there is none. */
export async function findPostgres(): Promise<string | undefined> {
  const versions = await readdir(DEBIAN).catch(() => []);
  const [newest] = versions.sort((a, b) => Number(b) - Number(a));
  const isThere = newest !== undefined && (await isInstalled("psql"));
  return isThere ? join(DEBIAN, newest, "bin") : undefined;
}

/**
 * Starts a server in a folder of its own with the settings that it comes with: a commit is on disk when it returns. It
 * listens on a Unix socket there and nowhere else.
 */
export async function startPostgres(
  { bin, folder }: { bin: string; folder: string },
  { scope, signal }: { scope: AsyncDisposableStack; signal: AbortSignal },
): Promise<Postgres> {
  const data = join(folder, "data");
  const options = { timeoutMs: COMMAND_MS, signal };
  const isRoot = process.getuid?.() === 0;
  const asUser = isRoot ? ["setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups"] : [];
  await mkdir(data);
  if (isRoot) await run("chown", [USER, folder, data], options);
  // It is thrown away, so its first files need not be on the disk before it starts.
  const initialise = ["--pgdata", data, "--username", "bench", "--auth", "trust", "--no-sync"];
  await runAll([...asUser, join(bin, "initdb"), ...initialise, "--encoding", "UTF8"], options);
  const [program = "", ...args] = [...asUser, join(bin, "postgres"), "-D", data, "-k", folder];
  const server = scope.use(
    new Child(program, [...args, "-c", "listen_addresses="], {
      detached: true,
      stdio: "ignore",
      // "Fast": open connections are ended.
      stopSignal: "SIGINT",
      stopMs: STOP_MS,
    }),
  );
  const to = ["--host", folder, "--username", "bench"];
  await untilReady(["pg_isready", ...to, "--quiet"], server, options);
  const sql = (text: string) =>
    run("psql", [...to, "--dbname", "postgres", "-XAtqc", text], options);
  return {
    url: `postgresql:///postgres?host=${encodeURIComponent(folder)}&user=bench`,
    version: (await sql("SHOW server_version")).trim(),
    sql,
  };
}

type Options = { readonly timeoutMs: number; readonly signal: AbortSignal };

async function runAll([program = "", ...args]: readonly string[], options: Options): Promise<void> {
  await run(program, args, options);
}

async function untilReady(
  command: readonly string[],
  server: Child,
  options: Options,
): Promise<void> {
  const endMs = performance.now() + START_MS;
  for (;;) {
    try {
      return await runAll(command, options);
    } catch (error) {
      const isStarting = error instanceof SpawnError && error.exitCode !== undefined;
      const isOver = server.process.exitCode !== null || performance.now() > endMs;
      if (!isStarting || isOver) throw error;
    }
    await delay(LOOK_MS, undefined, { signal: options.signal });
  }
}
