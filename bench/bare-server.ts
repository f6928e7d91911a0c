import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Parts } from "./bare-machine.ts";
import { type Server, type Sizes, writeSshConfig } from "./server.ts";

/** A machine's SSH server, as the measurements want it described. */
export async function serverOf(
  { folder, image, keys }: Parts,
  address: string,
  sizes: Sizes,
): Promise<Server> {
  const at = { address, port: 22, login: image.login };
  const scratch = join(folder, "client");
  await mkdir(scratch, { recursive: true });
  return {
    ...at,
    clientKey: keys.client.privateKey,
    hostKey: keys.host.wire,
    sshConfig: await writeSshConfig(folder, at, keys),
    folder: "/var/tmp/bench",
    scratch,
    hasSftp: false,
    isLocal: false,
    sizes,
    guestFolders: undefined,
  };
}
