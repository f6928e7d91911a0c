import type { Stats } from "node:fs";
import { join } from "node:path";
import { printable } from "#lib/printable.ts";
import { readRegularFile, type UnreadableError } from "#lib/read-regular-file.ts";
import { ConfigError } from "./config-error.ts";

const SECRET_BYTES_MAX = 64 * 1024;
const TOKEN_CHARACTERS_MAX = 1024;
const CREDENTIAL = "credential:";

/** Who asks: where systemd put the credentials of our unit, and as whom we run. */
export type SecretReader = {
  readonly credentialsFolder: string | undefined;
  readonly uid: number;
  readonly gids: readonly number[];
};

/** This process. */
export function thisReader(environment = process.env): SecretReader {
  return {
    credentialsFolder: environment["CREDENTIALS_DIRECTORY"] || undefined,
    uid: process.geteuid?.() ?? 0,
    gids: [process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])],
  };
}

/**
 * The text of a secret's file: at an absolute path, or `credential:NAME`, one that systemd handed over (LoadCredential=,
 * systemd.exec(5)). `key` names the setting in messages. Throws `ConfigError` when it cannot be read, is empty, longer
 * than 64 KiB or no regular file; and when others than we and root may read it or change it, credentials apart, which
 * systemd guards. The group may read it (and no more) when it is root's and the group ours. The message never quotes it.
 */
export async function readSecretFile(
  key: string,
  reference: string,
  reader: SecretReader = thisReader(),
): Promise<string> {
  const path = pathOf(key, reference, reader);
  const refuse = (says: string, cause?: unknown) =>
    new ConfigError(`${key}: ${printable(path)}: ${says}`, { cause });
  const read = await readRegularFile(path, SECRET_BYTES_MAX).catch((error: UnreadableError) => {
    throw refuse(error.message, error.cause);
  });
  const isGuarded = reference.startsWith(CREDENTIAL);
  const wrong = isGuarded ? undefined : tooOpen(read.stat, reader);
  if (wrong !== undefined) throw refuse(wrong);
  if (read.isTooLong) throw refuse("is longer than 64 KiB");
  if (read.bytes.length === 0) throw refuse("is empty");
  return read.bytes.toString("utf8");
}

/** The same for a token: one line of visible ASCII, without the space around it. */
export async function readTokenFile(
  key: string,
  reference: string,
  reader: SecretReader = thisReader(),
): Promise<string> {
  const token = (await readSecretFile(key, reference, reader)).trim();
  if (token.length <= TOKEN_CHARACTERS_MAX && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new ConfigError(`${key}: ${printable(reference)} holds no token: one line, no spaces`);
}

function pathOf(key: string, reference: string, { credentialsFolder }: SecretReader): string {
  if (!reference.startsWith(CREDENTIAL)) return reference;
  if (credentialsFolder !== undefined)
    return join(credentialsFolder, reference.slice(CREDENTIAL.length));
  throw new ConfigError(
    `${key}: ${reference} is handed over by systemd, which did not start this process ($CREDENTIALS_DIRECTORY is not set)`,
  );
}

/** What is wrong with the rights of a secret's file; undefined when nothing is. */
function tooOpen({ uid, gid, mode }: Stats, reader: SecretReader): string | undefined {
  if (uid !== 0 && uid !== reader.uid) return "belongs to another user, who may change it";
  const mayGroupRead = uid === 0 && reader.uid !== 0 && reader.gids.includes(gid);
  const refused = mayGroupRead ? 0o037 : 0o077;
  if ((mode & refused) === 0) return undefined;
  return `may be read or changed by others (mode ${(mode & 0o777).toString(8).padStart(4, "0")}); chmod ${mayGroupRead ? "0640" : "0600"} it`;
}
