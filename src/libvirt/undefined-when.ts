import { LibvirtError } from "./error.ts";

/** The promise's value, or undefined when libvirt answers with that error: there is no such thing. */
export async function undefinedWhen<T>(
  codeName: string,
  promise: Promise<T>,
): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof LibvirtError && error.codeName === codeName) return undefined;
    throw error;
  }
}
