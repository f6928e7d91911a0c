import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { KeyPair } from "#host/guest/keys.ts";

/** An SSH server that both sides talk to, with what the measurements read there. */
export type Server = {
  readonly address: string;
  readonly port: number;
  readonly login: string;
  /** Private key in OpenSSH's format. Secret. */
  readonly clientKey: string;
  /** The host key as it goes over the wire. */
  readonly hostKey: Buffer;
  /** For OpenSSH's programs: `ssh -F <path> server`. */
  readonly sshConfig: string;
  /** Folder on the server: `bulk`, `tree/`, `lines`, and `in/` to write to. */
  readonly folder: string;
  /** Folder on this host, in memory if possible. */
  readonly scratch: string;
  readonly hasSftp: boolean;
  /** True when `folder` is on this host too. */
  readonly isLocal: boolean;
  readonly sizes: Sizes;
  /** Where the product may put its own things on the server; undefined: where it does in a guest. */
  readonly guestFolders:
    | { readonly stateFolder: string; readonly logFolder: string; readonly settledFile: string }
    | undefined;
};

export type Sizes = {
  readonly bulkMiB: number;
  readonly files: number;
  readonly fileBytes: number;
  readonly lines: number;
};

/** A line of the log: 80 bytes with its newline. */
const LINE = "0123456789 a line of the log of a build, as long as most of them are".padEnd(79, ".");

/** Writes what OpenSSH's programs need to reach a server, and returns the configuration's path. */
export async function writeSshConfig(
  folder: string,
  at: { address: string; port: number; login: string },
  keys: { client: KeyPair; host: KeyPair },
): Promise<string> {
  const path = (name: string) => join(folder, name);
  await writeFile(path("client-key"), keys.client.privateKey, { mode: 0o600 });
  await writeFile(path("known-hosts"), `server ${keys.host.publicKey}\n`);
  await writeFile(
    path("ssh-config"),
    [
      "Host server",
      // A percent sign, as in a link-local address's zone, begins a token (ssh_config(5), TOKENS).
      `  HostName ${at.address.replaceAll("%", "%%")}`,
      `  Port ${at.port}`,
      `  User ${at.login}`,
      `  IdentityFile ${path("client-key")}`,
      `  UserKnownHostsFile ${path("known-hosts")}`,
      "  GlobalKnownHostsFile none",
      "  HostKeyAlias server",
      "  StrictHostKeyChecking yes",
      "  UpdateHostKeys no",
      "  IdentitiesOnly yes",
      "  IdentityAgent none",
      "  BatchMode yes",
      "  LogLevel ERROR",
      "",
    ].join("\n"),
  );
  return path("ssh-config");
}

/** The shell script that makes, in the server's folder, everything that the measurements read. */
export function preparation({ folder, sizes }: Pick<Server, "folder" | "sizes">): string {
  return [
    `set -e; mkdir -p '${folder}/tree' '${folder}/in'; cd '${folder}'`,
    `head -c ${sizes.bulkMiB * 2 ** 20} /dev/urandom >bulk`,
    `yes '${LINE}' | head -n ${sizes.lines} >lines`,
    "i=0",
    `while [ $i -lt ${sizes.files} ]; do { printf %08d $i; head -c ${sizes.fileBytes - 8} bulk; } >tree/$i; i=$((i+1)); done`,
  ].join("\n");
}
