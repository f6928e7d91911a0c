import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { command } from "./command.ts";
import { scratchFolder } from "./scratch.ts";

/** A key and the certificate that it signed itself, PEM. */
export type Certificate = { readonly cert: string; readonly key: string };

/** Makes a certificate for these names (`DNS:localhost`, `IP:127.0.0.1`), good for a day. */
export async function certificateFor(names: readonly string[]): Promise<Certificate> {
  await using folder = await scratchFolder();
  const [cert, key] = [join(folder.path, "cert.pem"), join(folder.path, "key.pem")];
  const made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1";
  const whose = ["-subj", "/CN=localhost", "-addext", `subjectAltName=${names.join(",")}`];
  const args = [...made.split(" "), ...whose, "-keyout", key, "-out", cert];
  const { exitCode, stderr } = await command("openssl", args);
  if (exitCode !== 0) throw new Error(stderr);
  return { cert: await readFile(cert, "utf8"), key: await readFile(key, "utf8") };
}
