import { once } from "node:events";
import ssh2, { type Client, type ClientChannel } from "ssh2";
import type { Server } from "./server.ts";

/** ssh2 as its README shows it: no option but where to, who and with which key. */
export async function connectStock(server: Server): Promise<Client> {
  const client = new ssh2.Client();
  client.connect({
    host: server.address,
    port: server.port,
    username: server.login,
    privateKey: server.clientKey,
  });
  await once(client, "ready");
  return client;
}

/** Closes a client without an error. */
export async function closeStock(client: Client): Promise<void> {
  const closed = once(client, "close");
  client.end();
  await closed;
}

/** Starts a command. */
export async function execStock(client: Client, command: string): Promise<ClientChannel> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
  client.exec(command, (error, channel) => (error ? reject(error) : resolve(channel)));
  return await promise;
}

/** Runs a command to its end, throwing its output away, and returns how many bytes it printed. */
export async function drainStock(client: Client, command: string): Promise<number> {
  const channel = await execStock(client, command);
  let bytes = 0;
  channel.on("data", (piece: Buffer) => {
    bytes += piece.length;
  });
  await once(channel, "close");
  return bytes;
}
