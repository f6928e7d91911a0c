import { createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Measurement, Setting } from "./measurement.ts";
import { runProgram, ssh } from "./openssh.ts";
import { connectOurs } from "./our-connection.ts";
import { connectGuest } from "./our-guest.ts";
import { closeStock, connectStock, execStock } from "./stock-ssh2.ts";
import { intoFolder } from "./transfer.ts";

/** One big file comes home, into a file. */
export const download: Measurement = {
  name: "download of one big file",
  ours: async (setting) => {
    const guest = await connectGuest(setting);
    return intoFolder(setting, async (folder) => {
      const { artifacts, refused } = await guest.collect([source(setting)], folder, setting.signal);
      if (artifacts.length !== 1) {
        throw new Error(`the file did not come home: ${JSON.stringify(refused)}`);
      }
    });
  },
  others: {
    "connection alone": {
      side: async (setting) => {
        const { server, scope, signal } = setting;
        const connection = scope.use(await connectOurs(server, signal));
        return intoFolder(setting, async (folder) => {
          using exec = await connection.exec(printing(setting), signal);
          exec.endInput();
          await using file = await open(join(folder, "bulk"), "w");
          for (let piece = await exec.read(); piece !== undefined; piece = await exec.read()) {
            await file.write(piece);
          }
          await exec.ended;
        });
      },
    },
    ssh: {
      side: async (setting) =>
        intoFolder(setting, (folder) =>
          runProgram(
            ssh(setting.server, printing(setting)),
            { output: join(folder, "bulk") },
            setting.signal,
          ),
        ),
    },
    "stock ssh2": {
      side: async (setting) => {
        const client = setting.scope.adopt(await connectStock(setting.server), closeStock);
        return intoFolder(setting, async (folder) => {
          const channel = await execStock(client, printing(setting));
          await pipeline(channel, createWriteStream(join(folder, "bulk")));
        });
      },
    },
    "sftp get": {
      needs: "hasSftp",
      isSlow: true,
      side: async (setting) =>
        intoFolder(setting, (folder) =>
          runProgram(
            ["sftp", "-q", "-F", setting.server.sshConfig, `server:${source(setting)}`, folder],
            {},
            setting.signal,
          ),
        ),
    },
  },
  goals: [
    { against: "ssh", of: "speed", limit: 1.2 },
    { side: "connection alone", against: "ssh", of: "speed", limit: 1.2 },
    { side: "connection alone", against: "stock ssh2", of: "speed" },
    { against: "sftp get", of: "speed" },
  ],
};

const source = ({ server }: Setting) => `${server.folder}/bulk`;
const printing = (setting: Setting) => `cat '${source(setting)}'`;
