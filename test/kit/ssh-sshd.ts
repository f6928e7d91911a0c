import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import type { GuestOptions } from "#host/guest/guest-options.ts";
import { makeKeyPair } from "#host/guest/keys.ts";
import type { Access } from "#host/runner/ports.ts";
import { eventually } from "./eventually.ts";

/** A loopback OpenSSH server that plays the guest: steps run on this machine, in folders of the test's own. */
export type LoopbackSshd = {
  readonly port: number;
  readonly access: Access;
  /** A scratch folder for what steps write. */
  readonly folder: string;
  /** Keeps the runner's files in the test's folder. */
  readonly options: Partial<GuestOptions>;
  /** Kills the server and every connection to it; `start` brings it back on the same port. */
  kill(): Promise<void>;
  start(): Promise<void>;
} & AsyncDisposable;

/** Starts one with fresh keys on a free port of 127.0.0.1. Needs root, as sshd does to log others in; disposing ends it. */
export async function startSshd(): Promise<LoopbackSshd> {
  const folder = await mkdtemp("/tmp/testbed-sshd-");
  const client = makeKeyPair();
  const host = makeKeyPair();
  const port = await freePort();
  await mkdir(join(folder, "work"));
  await mkdir("/run/sshd", { recursive: true });
  await writeFile(join(folder, "host"), host.privateKey, { mode: 0o600 });
  await writeFile(join(folder, "authorized_keys"), `${client.publicKey}\n`, { mode: 0o600 });
  await writeFile(join(folder, "settled"), "");
  await writeFile(
    join(folder, "config"),
    [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${join(folder, "host")}`,
      `AuthorizedKeysFile ${join(folder, "authorized_keys")}`,
      "StrictModes no",
      "UsePAM no",
      "PermitRootLogin prohibit-password",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "PidFile none",
      // Debian's bash reads ~/.bashrc under sshd at the first shell level only; tests must not depend on what is in there.
      "SetEnv SHLVL=5",
      "Subsystem sftp internal-sftp",
      "MaxStartups 100",
      "MaxSessions 100",
      "",
    ].join("\n"),
  );
  const server = { child: undefined as ReturnType<typeof spawn> | undefined };
  const start = async () => {
    const child = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", join(folder, "config")], {
      stdio: "ignore",
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    });
    server.child = child;
    await eventually(() => answers(port), 10_000);
  };
  const kill = async () => {
    const { child } = server;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    // Those that serve a connection are in sessions of their own.
    for (const pid of serversBelow(child.pid)) endNow(pid);
    child.kill("SIGKILL");
    await gone;
  };
  await start();
  return {
    port,
    folder: join(folder, "work"),
    access: { login: "root", clientKey: client.privateKey, hostKey: host.wire, seedPath: "/none" },
    options: {
      port,
      stateFolder: join(folder, "run"),
      logFolder: join(folder, "logs"),
      settledFile: join(folder, "settled"),
    },
    kill,
    start,
    [Symbol.asyncDispose]: async () => {
      await kill();
      endSteps(folder);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Process ids of the sshd processes below one, and not of the commands that they run. */
function serversBelow(pid: number): number[] {
  const children = textOf(`/proc/${pid}/task/${pid}/children`);
  return (children === "" ? [] : children.split(" "))
    .map(Number)
    .filter((child) => textOf(`/proc/${child}/comm`) === "sshd")
    .flatMap((child) => [child, ...serversBelow(child)]);
}

/** A file of a process; empty when the process has ended. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

/** Ends the steps that a test has left running: whatever has the test's folder in its command line, with its group. */
function endSteps(folder: string): void {
  for (const pid of readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name))) {
    if (!textOf(`/proc/${pid}/cmdline`).includes(`${folder}/`)) continue;
    endNow(Number(pid));
    endNow(-Number(pid));
  }
}

/** Kills a process or, by a negative number, a group; one that has ended is fine. */
function endNow(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
