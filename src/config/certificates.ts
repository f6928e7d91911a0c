import { X509Certificate } from "node:crypto";
import { readRegularFile } from "#lib/read-regular-file.ts";
import { ConfigError } from "./config-error.ts";

const BYTES_MAX = 2 ** 20;

/**
 * Certificates to trust, PEM, from a file; `key` is where it is named. TLS passes over what is no certificate, and then trusts nobody: that
 * is said here, and not once a minute as somebody else's fault. Throws `ConfigError`.
 */
export async function readCertificates(key: string, path: string): Promise<string> {
  const { bytes, isTooLong } = await readRegularFile(path, BYTES_MAX).catch((error: Error) => {
    throw new ConfigError(`${key}: ${path}: ${error.message}`);
  });
  if (isTooLong) throw new ConfigError(`${key}: ${path}: is longer than 1 MiB`);
  try {
    new X509Certificate(bytes);
  } catch (cause) {
    throw new ConfigError(`${key}: ${path}: holds no certificate in PEM`, { cause });
  }
  return bytes.toString("utf8");
}
