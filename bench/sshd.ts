import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { makeKeyPair } from "#host/guest/keys.ts";
import { run } from "#lib/spawn.ts";
import { Child } from "./child.ts";
import { dialServer } from "./our-connection.ts";
import { preparation, type Server, type Sizes, writeSshConfig } from "./server.ts";

const START_MS = 10_000;

/**
 * Starts an OpenSSH server of our own on the loopback, with a host key and a user key of this run and all files in
 * `folder`, and fills it with what the measurements read. It ends with the scope.
 */
export async function startSshd(
  folder: string,
  { sizes, scope, signal }: { sizes: Sizes; scope: AsyncDisposableStack; signal: AbortSignal },
): Promise<Server> {
  const keys = { client: makeKeyPair(), host: makeKeyPair() };
  const at = { address: "127.0.0.1", port: await freePort(), login: userInfo().username };
  const server: Server = {
    ...at,
    clientKey: keys.client.privateKey,
    hostKey: keys.host.wire,
    sshConfig: await writeSshConfig(folder, at, keys),
    folder: join(folder, "server"),
    scratch: join(folder, "client"),
    hasSftp: true,
    isLocal: true,
    sizes,
    guestFolders: {
      stateFolder: join(folder, "state"),
      logFolder: join(folder, "logs"),
      settledFile: join(folder, "host-key"),
    },
  };
  await mkdir(server.scratch);
  await writeFile(join(folder, "host-key"), keys.host.privateKey, { mode: 0o600 });
  await writeFile(join(folder, "authorized"), `${keys.client.publicKey}\n`);
  await writeFile(join(folder, "sshd-config"), configuration(folder, at.port));
  // sshd refuses to start as root without it (sshd(8), FILES); distributions make it when their own server starts.
  if (process.getuid?.() === 0) await mkdir("/run/sshd", { recursive: true, mode: 0o755 });
  const sshd = scope.use(
    new Child("/usr/sbin/sshd", ["-D", "-E", logOf(folder), "-f", join(folder, "sshd-config")], {
      // In a process group of its own, so that Ctrl-C on a terminal leaves the order of the ending to us.
      detached: true,
      stdio: "ignore",
    }),
  );
  await answering(server, { sshd, log: logOf(folder) }, signal);
  await run("/bin/sh", ["-c", preparation(server)], { timeoutMs: 120_000, signal });
  return server;
}

const logOf = (folder: string) => join(folder, "sshd-log");

/** Plain and quick: what a login costs here is the protocol, not PAM, DNS or a message of the day. */
function configuration(folder: string, port: number): string {
  return [
    "ListenAddress 127.0.0.1",
    `Port ${port}`,
    `HostKey ${join(folder, "host-key")}`,
    `AuthorizedKeysFile ${join(folder, "authorized")}`,
    "PidFile none",
    "StrictModes no",
    "UsePAM no",
    "UseDNS no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PermitRootLogin prohibit-password",
    "PrintMotd no",
    "PrintLastLog no",
    "MaxStartups 100",
    "MaxSessions 100",
    // A shell below another one reads no start-up files (bash(1), INVOCATION: run by a remote shell daemon).
    "SetEnv SHLVL=1",
    "LogLevel FATAL",
    "Subsystem sftp internal-sftp",
    "",
  ].join("\n");
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

async function answering(
  server: Server,
  { sshd, log }: { sshd: Child; log: string },
  signal: AbortSignal,
): Promise<void> {
  const endMs = performance.now() + START_MS;
  const died = sshd.ended.then(async (code) => {
    const said = await readFile(log, "utf8").catch(() => "");
    throw new Error(`sshd ended with exit status ${code}: ${said}`);
  });
  died.catch(() => undefined);
  for (;;) {
    try {
      (await Promise.race([dialServer(server, signal), died])).destroy();
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (sshd.process.exitCode !== null) await died;
      if (performance.now() > endMs) throw error;
    }
    await delay(20, undefined, { signal });
  }
}
