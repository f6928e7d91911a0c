import { Fault } from "#job/fault.ts";
import { run, SpawnError, type SpawnOptions } from "#lib/spawn.ts";

/** `nobody`: no file of ours is its own, so it reads what everyone may read, and writes nothing. */
const NOBODY = "65534";
const LIMITS = ["--cpu=60", `--as=${2 ** 30}`, "--fsize=0", "--core=0", "--nofile=64"];
/** A network of its own, whose only interface is a loopback that is down; what it starts dies with it. */
const APART = ["--net", "--ipc", "--pid", "--fork", "--kill-child"];

/**
 * The command line that runs a program confined: 60 s of CPU, 1 GiB of address space, no file written, no network, no
 * privilege, none to gain (setpriv(1), unshare(1), prlimit(1)). Root becomes nobody. Anybody else stays who they are, in
 * a user namespace, which is the only way for them to a network namespace.
 */
export function confinedArgs(argv: readonly string[], isRoot: boolean): readonly string[] {
  const limited = ["prlimit", ...LIMITS, "--", ...argv];
  if (!isRoot)
    return [
      ...["setpriv", "--pdeathsig", "KILL", "--no-new-privs", "--"],
      ...["unshare", "--user", "--map-current-user", ...APART, "--"],
      ...limited,
    ];
  return [
    ...["setpriv", "--pdeathsig", "KILL", "--"],
    ...["unshare", ...APART, "--"],
    ...["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs"],
    // Becoming somebody else has cleared the signal that unshare set (prctl(2), PR_SET_PDEATHSIG).
    ...["--bounding-set=-all", "--inh-caps=-all", "--pdeathsig", "KILL", "--"],
    ...limited,
  ];
}

/** What a confined program reads, and how long it may take. */
export type ConfinedOptions = {
  /** An open file, its standard input. Its path is /proc/self/fd/0, which needs no right to pass the folders above it. */
  readonly inputFd: number;
  /** On the wall: beyond the CPU's limit, for a slow disk. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
};

const KEEP_BYTES = 64 * 1024;
/** A damaged image of 400 kB makes qemu-img complain 16 million times. */
const PRINTED_MAX = 2 ** 20;
const PROBE_MS = 60_000;

/**
 * Runs a program confined and returns what it printed, of which 64 KiB are kept; it is ended when it prints more than
 * 1 MiB. There is no running it with less: where this host cannot confine it, throws host-tool-missing. Throws
 * `SpawnError` when the program itself fails, and the signal's reason.
 */
export async function runConfined(
  argv: readonly [string, ...string[]],
  { inputFd, timeoutMs, signal }: ConfinedOptions,
): Promise<string> {
  const flood = new AbortController();
  let printed = 0;
  const onOutput = (text: string) => {
    printed += text.length;
    if (printed > PRINTED_MAX) flood.abort();
  };
  const either = AbortSignal.any([signal, flood.signal]);
  try {
    return await start(argv, { inputFd, timeoutMs, signal: either, onOutput });
  } catch (error) {
    signal.throwIfAborted();
    if (flood.signal.aborted)
      throw new SpawnError(argv[0], `it printed more than ${PRINTED_MAX} bytes`, { cause: error });
    await checkMeans(signal);
    throw error;
  }
}

/**
 * Whether a program can be run confined here at all: the programs around it fail with the same exit status as it does, in
 * words that change with their versions.
 */
async function checkMeans(signal: AbortSignal): Promise<void> {
  await start(["true"], { timeoutMs: PROBE_MS, signal }).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new Fault(
      "host-tool-missing",
      `this host cannot run a program confined, so no image is inspected: ${(cause as Error).message}. It takes setpriv, unshare and prlimit of util-linux, and root or user namespaces.`,
      { cause },
    );
  });
}

function start(argv: readonly string[], options: SpawnOptions): Promise<string> {
  const [file, ...args] = confinedArgs(argv, process.getuid?.() === 0) as [string, ...string[]];
  return run(file, args, { ...options, cwd: "/", keepBytes: KEEP_BYTES });
}
