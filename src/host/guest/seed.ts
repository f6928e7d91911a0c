import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { run, SpawnError } from "#lib/spawn.ts";
import { curfew, runnerFolderOf, sayWhenSettled } from "./boot-commands.ts";

/**
 * The seed: what a fresh machine learns before anybody talks to it. A NoCloud data source
 * (https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html): an ISO image with the volume id
 * `cidata` and the files user-data and meta-data. The layout of user-data is kept strict and stable, one key per line and
 * block scalars with an indent of four, so that an image without cloud-init can read it with a few lines of awk.
 */
export type Seed = {
  /** Of an image made for testbed, or of a distribution's as it comes: the latter is told more, and keeps its own users. */
  readonly kind: Image["seed"];
  /** Host name and instance id; only `a-z`, `0-9` and `-`. */
  readonly name: string;
  readonly login: string;
  /** One-line OpenSSH public key that may log in. */
  readonly clientPublicKey: string;
  readonly hostPrivateKey: string;
  readonly hostPublicKey: string;
  /** The guest powers itself off so many seconds after its start, rounded up; at least 1. Undefined: never. */
  readonly curfewSeconds: number | undefined;
};

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const LOGIN = /^[a-z_][a-z0-9_-]{0,31}$/;

/** The text of user-data. Only our own values go in, and those with a shape are checked, so nothing needs escaping. */
export function userData(seed: Seed): string {
  if (!NAME.test(seed.name)) throw new TypeError("a machine's name must be a plain host name");
  if (!LOGIN.test(seed.login)) throw new TypeError("an image's login must be a plain user name");
  const hostKey = seed.hostPrivateKey
    .trimEnd()
    .split("\n")
    .map((line) => `    ${line}`);
  return [
    "#cloud-config",
    `hostname: ${seed.name}`,
    "ssh_deletekeys: true",
    "ssh_keys:",
    "  ed25519_private: |",
    ...hostKey,
    `  ed25519_public: ${seed.hostPublicKey}`,
    ...opensRoot(seed),
    "users:",
    ...ownUsers(seed),
    `  - name: ${seed.login}`,
    // sshd refuses a locked account even with the right key when it does not use PAM (sshd_config(5), UsePAM).
    "    lock_passwd: false",
    "    ssh_authorized_keys:",
    `      - ${seed.clientPublicKey}`,
    "ssh_pwauth: false",
    ...bootCommands(seed),
    "",
  ].join("\n");
}

/** A distribution's images refuse root with a message, which is as they mean it unless root is who we log in as. */
function opensRoot({ kind, login }: Seed): readonly string[] {
  return kind === "nocloud" || login === "root" ? ["disable_root: false"] : [];
}

/**
 * The user that a distribution's image is configured to make. When that is the login, cloud-init makes one user of both, with the
 * distribution's shell, groups and sudo, and our key.
 */
function ownUsers({ kind }: Seed): readonly string[] {
  return kind === "cloud-init" ? ["  - default"] : [];
}

function bootCommands({ kind, login, curfewSeconds }: Seed): readonly string[] {
  const commands = [
    ...(curfewSeconds === undefined ? [] : [curfew(curfewSeconds)]),
    ...(kind === "cloud-init" && login !== "root" ? [runnerFolderOf(login)] : []),
    ...(kind === "cloud-init" ? [sayWhenSettled()] : []),
  ];
  return commands.length === 0 ? [] : ["bootcmd:", ...commands.map((command) => `  - ${command}`)];
}

/** The text of meta-data. */
export function metaData(name: string): string {
  return `instance-id: ${name}\nlocal-hostname: ${name}\n`;
}

/**
 * Writes the seed into `folder` as `seed.iso`, mode 0600 (libvirt gives it to QEMU's user when the machine starts), and
 * returns its path. Twice is safe. Throws host-disk-full, host-tool-missing.
 */
export async function writeSeed(folder: string, seed: Seed, signal: AbortSignal): Promise<string> {
  const source = join(folder, "seed");
  const path = join(folder, "seed.iso");
  try {
    await mkdir(source, { recursive: true, mode: 0o700 });
    await writeFile(join(source, "user-data"), userData(seed), { mode: 0o600 });
    await writeFile(join(source, "meta-data"), metaData(seed.name), { mode: 0o600 });
    // xorriso fills an existing file from its start, so its mode stays: the private key is never readable by others.
    await rm(path, { force: true });
    await writeFile(path, "", { mode: 0o600 });
    await makeIso(source, path, signal);
    await stat(path);
    return path;
  } catch (error) {
    throw explain(error, signal);
  } finally {
    await rm(source, { recursive: true, force: true });
  }
}

/** Both programs speak mkisofs; Debian has one or the other. */
const ISO_PROGRAMS = [["xorriso", "-as", "mkisofs"], ["genisoimage"]] as const;

async function makeIso(source: string, path: string, signal: AbortSignal): Promise<void> {
  const rest = ["-quiet", "-volid", "cidata", "-joliet", "-rock", "-output", path, source];
  for (const [index, [program, ...first]] of ISO_PROGRAMS.entries()) {
    try {
      await run(program, [...first, ...rest], { timeoutMs: 30_000, signal });
      return;
    } catch (error) {
      const isLast = index === ISO_PROGRAMS.length - 1;
      if (isLast || !(error instanceof SpawnError && error.isMissing)) throw error;
    }
  }
}

function explain(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  const { code } = error as NodeJS.ErrnoException;
  const isFull =
    code === "ENOSPC" ||
    code === "EDQUOT" ||
    (error instanceof SpawnError && /no space left/i.test(error.stderrTail));
  if (isFull) {
    return new Fault("host-disk-full", "the machine's seed does not fit: free some space", {
      cause: error,
    });
  }
  if (error instanceof SpawnError && error.isMissing) {
    return new Fault(
      "host-tool-missing",
      "neither xorriso nor genisoimage is installed: apt-get install xorriso",
      { cause: error },
    );
  }
  return error;
}
