import { Fault } from "#job/fault.ts";

/** The fault behind an error of writing on this host, or the error itself when it is something else. */
export function diskFault(error: unknown, what: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ENOSPC" && code !== "EDQUOT" && code !== "EFBIG") return error;
  return new Fault("host-disk-full", `no room for ${what}: free some space`, { cause: error });
}
