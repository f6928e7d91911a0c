import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#job/fault.ts";
import { run, SpawnError } from "#lib/spawn.ts";

/**
 * The seed: what a fresh machine learns before anybody talks to it. A NoCloud data source
 * (https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html): an ISO image with the volume id
 * `cidata` and the files user-data and meta-data. The layout of user-data is kept strict and stable, one key per line and
 * block scalars with an indent of four, so that an image without cloud-init can read it with a few lines of awk.
 */
export type Seed = {
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
    "disable_root: false",
    "users:",
    `  - name: ${seed.login}`,
    // sshd refuses a locked account even with the right key when it does not use PAM (sshd_config(5), UsePAM).
    "    lock_passwd: false",
    "    ssh_authorized_keys:",
    `      - ${seed.clientPublicKey}`,
    "ssh_pwauth: false",
    ...(seed.curfewSeconds === undefined ? [] : ["bootcmd:", `  - ${curfew(seed.curfewSeconds)}`]),
    "",
  ].join("\n");
}

/**
 * Shell, on one line, that an image runs as root while it starts and that leaves one sleeping process behind. It outlives
 * whoever started it: out of the reach of a service manager that cleans up behind a unit, and of the kernel when it looks
 * for something to kill. What ends the guest needs no new process, since the job may have used up all of them; `poweroff`
 * is for a kernel without that (https://docs.kernel.org/admin-guide/sysrq.html). Counted from the kernel's start.
 */
function curfew(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (!Number.isSafeInteger(whole) || whole < 1) throw new TypeError("no curfew is that short");
  return [
    "setsid sh -c 'echo $$ >/sys/fs/cgroup/cgroup.procs",
    "echo -1000 >/proc/$$/oom_score_adj",
    "read -r up _ </proc/uptime",
    `sleep $((${whole} - \${up%.*}))`,
    "echo o >/proc/sysrq-trigger",
    "sleep 9",
    "poweroff -f' </dev/null >/dev/null 2>&1 &",
  ].join("; ");
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
