import { access, constants } from "node:fs/promises";
import { join } from "node:path";

/** Where programs of the system are, wherever the user's PATH leads. */
export const PROGRAM_FOLDERS = [
  "/usr/local/sbin",
  "/usr/local/bin",
  "/usr/sbin",
  "/usr/bin",
  "/sbin",
  "/bin",
] as const;

/** True when a program of this name can be started from one of the system's folders. */
export async function isInstalled(program: string): Promise<boolean> {
  const tries = PROGRAM_FOLDERS.map((folder) => access(join(folder, program), constants.X_OK));
  return (await Promise.allSettled(tries)).some(({ status }) => status === "fulfilled");
}
