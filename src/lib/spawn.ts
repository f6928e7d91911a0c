import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { PROGRAM_FOLDERS } from "./programs.ts";

/** A program that could not be started, failed, or was ended by its limits. Keeps what it said last. */
export class SpawnError extends Error {
  override readonly name = "SpawnError";
  readonly file: string;
  /** Exit status; undefined when it was never started or a signal ended it. */
  readonly exitCode: number | undefined;
  readonly stderrTail: string;
  /** True when there is no such program. */
  readonly isMissing: boolean;

  constructor(
    file: string,
    message: string,
    more: { exitCode?: number; stderrTail?: string; isMissing?: boolean; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause });
    this.file = file;
    this.exitCode = more.exitCode;
    this.stderrTail = more.stderrTail ?? "";
    this.isMissing = more.isMissing ?? false;
  }
}

export type SpawnOptions = {
  /** Killed with SIGKILL when it takes longer. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly cwd?: string;
  /** The whole environment of the program, not an addition; default: only PATH, HOME and LC_ALL=C. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** An open file that is its standard input, in place of `input`. It stays open here. */
  readonly inputFd?: number;
  /** Output kept of each stream, the first so many bytes of stdout and the last of stderr; default 1 MiB. */
  readonly keepBytes?: number;
  /** Called with each piece that the program prints on either stream, for progress. */
  readonly onOutput?: (text: string) => void;
};

const KEEP_BYTES_DEFAULT = 1024 * 1024;
const TAIL_CHARACTERS = 4000;

/**
 * Runs a program to its end and returns what it printed on standard output. Argument vectors only: no shell ever sees
 * them. Throws `SpawnError` on every ending but exit status 0; on abort the signal's reason is the error's cause.
 */
export async function run(
  file: string,
  args: readonly string[],
  options: SpawnOptions,
): Promise<string> {
  options.signal?.throwIfAborted();
  const keep = options.keepBytes ?? KEEP_BYTES_DEFAULT;
  const limit = AbortSignal.timeout(options.timeoutMs);
  const child = spawn(file, [...args], {
    stdio: [options.inputFd ?? "pipe", "pipe", "pipe"],
    env: options.env ?? plainEnvironment(),
    signal: options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]),
    killSignal: "SIGKILL",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const stdout: Buffer[] = [];
  let stdoutBytes = 0;
  let stderr = Buffer.alloc(0);
  child.stdout?.on("data", (piece: Buffer) => {
    options.onOutput?.(piece.toString());
    const fits = piece.subarray(0, Math.max(0, keep - stdoutBytes));
    stdoutBytes += fits.length;
    if (fits.length > 0) stdout.push(fits);
  });
  child.stderr?.on("data", (piece: Buffer) => {
    options.onOutput?.(piece.toString());
    stderr = Buffer.concat([stderr, piece]).subarray(-keep);
  });
  // A program that ends without reading its input gives EPIPE here; its exit status says what happened.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input ?? "");

  try {
    await endOf(child, file, () => stderr);
  } catch (error) {
    throw explain(file, error, options, limit);
  }
  return Buffer.concat(stdout).toString();
}

/**
 * What a program prints on standard output, piece by piece and no faster than it is read, for output that may be without end. It reads
 * the open file `input`. A reader that leaves early ends the program. Throws like `run`, after the last piece.
 */
export async function* outputOf(
  file: string,
  args: readonly string[],
  options: Pick<SpawnOptions, "timeoutMs" | "signal"> & { readonly input: number },
): AsyncGenerator<Buffer, void, undefined> {
  options.signal?.throwIfAborted();
  const limit = AbortSignal.timeout(options.timeoutMs);
  const child = spawn(file, [...args], {
    stdio: [options.input, "pipe", "pipe"],
    env: plainEnvironment(),
    signal: options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]),
    killSignal: "SIGKILL",
  }) as ChildProcessByStdio<null, Readable, Readable>;
  let stderr = Buffer.alloc(0);
  child.stderr.on("data", (piece: Buffer) => {
    stderr = Buffer.concat([stderr, piece]).subarray(-TAIL_CHARACTERS);
  });
  const end = endOf(child, file, () => stderr);
  // Heard of below, once the output is read; it may come before.
  end.catch(() => undefined);
  try {
    // A program that was never started has no output, and one that is killed breaks off: its end says why.
    for await (const piece of child.stdout) yield piece as Buffer;
    await end;
  } catch (error) {
    throw explain(
      file,
      await end.then(
        () => error,
        (reason: unknown) => reason,
      ),
      options,
      limit,
    );
  } finally {
    child.kill("SIGKILL");
    await end.catch(() => undefined);
  }
}

/** Resolves when a program has ended well and its output is closed; else rejects with a `SpawnError`, or what hindered its start. */
function endOf(child: ChildProcess, file: string, stderr: () => Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once("error", reject);
  child.once("close", (code, signal) => {
    if (code === 0) return resolve();
    const tail = stderr().toString().trim().slice(-TAIL_CHARACTERS);
    const how = code === null ? `was killed by ${signal}` : `failed with exit status ${code}`;
    reject(
      new SpawnError(file, `${file} ${how}${tail === "" ? "" : `: ${tail}`}`, {
        ...(code === null ? {} : { exitCode: code }),
        stderrTail: tail,
      }),
    );
  });
  return promise;
}

function explain(
  file: string,
  error: unknown,
  options: Pick<SpawnOptions, "timeoutMs" | "signal">,
  limit: AbortSignal,
): unknown {
  if (error instanceof SpawnError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT")
    return new SpawnError(file, `${file} is not installed`, { isMissing: true, cause: error });
  if (options.signal?.aborted)
    return new SpawnError(file, `${file} was stopped`, { cause: options.signal.reason });
  if (limit.aborted)
    return new SpawnError(file, `${file} took longer than ${options.timeoutMs} ms`, {
      cause: error,
    });
  return new SpawnError(file, `${file}: ${(error as Error).message}`, { cause: error });
}

/** What a program gets when nobody says otherwise: nothing of ours, no secrets, messages in plain English. */
function plainEnvironment(): Record<string, string> {
  return {
    PATH: PROGRAM_FOLDERS.join(":"),
    HOME: "/",
    LC_ALL: "C",
  };
}
