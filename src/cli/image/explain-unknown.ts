import { UsageError } from "#cli/exit-code.ts";
import { Fault } from "#job/fault.ts";

/** A name that nobody knows is a wrong command line. Throws that, or the error itself. */
export function explainUnknown(error: unknown): never {
  if (error instanceof Fault && error.code === "image-unknown")
    throw new UsageError(error.message, { cause: error });
  throw error;
}
