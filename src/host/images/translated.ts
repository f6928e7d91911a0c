import { Fault } from "#job/fault.ts";
import { SpawnError } from "#lib/spawn.ts";

/** Turns what the system says into our faults; an abort ends in the signal's own reason. */
export async function translated<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    signal.throwIfAborted();
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    throw explain(error);
  }
}

function explain(error: unknown): unknown {
  if (error instanceof Fault) return isDiskFull(error.cause) ? diskFull(error.cause) : error;
  if (isDiskFull(error)) return diskFull(error);
  if (error instanceof SpawnError) {
    const code = error.isMissing ? "host-tool-missing" : "image-build-failed";
    return new Fault(code, error.message, { cause: error });
  }
  const { code, path } = error as NodeJS.ErrnoException;
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return new Fault(
      "image-build-failed",
      `cannot write to ${path ?? "the image store"}: ${code}`,
      {
        cause: error,
      },
    );
  return error;
}

function isDiskFull(error: unknown): boolean {
  if (error instanceof SpawnError) return error.stderrTail.includes("No space left on device");
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}

function diskFull(cause: unknown): Fault {
  return new Fault("host-disk-full", "no space left for images and disks of machines", { cause });
}
