import { once } from "node:events";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Measurement, Setting } from "./measurement.ts";
import { runProgram, ssh } from "./openssh.ts";
import { connectOurs } from "./our-connection.ts";
import { connectGuest } from "./our-guest.ts";
import { timed } from "./pairs.ts";
import { closeStock, connectStock, execStock } from "./stock-ssh2.ts";

const READ_BYTES = 256 * 1024;

/** One big file goes into the server, over the one that the last side left there. */
export const upload: Measurement = {
  name: "upload of one big file",
  ours: async (setting) => {
    const guest = await connectGuest(setting);
    const from = await source(setting);
    return () =>
      timed(() => guest.send([{ from, to: target(setting) }], () => undefined, setting.signal));
  },
  others: {
    "connection alone": {
      side: async (setting) => {
        const { server, scope, signal } = setting;
        const connection = scope.use(await connectOurs(server, signal));
        const from = await source(setting);
        return () =>
          timed(async () => {
            using exec = await connection.exec(taking(setting), signal);
            for await (const piece of createReadStream(from, { highWaterMark: READ_BYTES })) {
              await exec.write(piece as Buffer);
            }
            exec.endInput();
            await exec.read();
            await exec.ended;
          });
      },
    },
    ssh: {
      side: async (setting) => {
        const input = await source(setting);
        const command = ssh(setting.server, taking(setting));
        return () => timed(() => runProgram(command, { input }, setting.signal));
      },
    },
    "stock ssh2": {
      side: async (setting) => {
        const client = setting.scope.adopt(await connectStock(setting.server), closeStock);
        const from = await source(setting);
        return () =>
          timed(async () => {
            const channel = await execStock(client, taking(setting));
            const closed = once(channel.resume(), "close");
            await pipeline(createReadStream(from), channel);
            await closed;
          });
      },
    },
  },
  goals: [
    { against: "ssh", of: "speed", limit: 1.2 },
    { side: "connection alone", against: "ssh", of: "speed", limit: 1.2 },
    { side: "connection alone", against: "stock ssh2", of: "speed" },
  ],
};

const target = ({ server }: Setting) => `${server.folder}/in/bulk`;
const taking = (setting: Setting) => `cat >'${target(setting)}'`;

/** A file on this host as large as the one on the server. */
async function source({ server }: Setting): Promise<string> {
  const path = join(server.scratch, "bulk-source");
  await using file = await open(path, "w");
  const piece = Buffer.alloc(2 ** 20, "source");
  for (let written = 0; written < server.sizes.bulkMiB; written += 1) await file.write(piece);
  return path;
}
