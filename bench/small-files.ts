import { once } from "node:events";
import { Child } from "./child.ts";
import type { Measurement, Setting } from "./measurement.ts";
import { runProgram } from "./openssh.ts";
import { connectOurs } from "./our-connection.ts";
import { connectGuest } from "./our-guest.ts";
import { intoFolder } from "./transfer.ts";

/** Many small files come home. Ours are also hashed; no other side does that. */
export const smallFiles: Measurement = {
  name: "many small files come home",
  ours: async (setting) => {
    const guest = await connectGuest(setting);
    const { server, signal } = setting;
    return intoFolder(setting, async (folder) => {
      const { artifacts, refused } = await guest.collect(
        [`${server.folder}/tree/*`],
        folder,
        signal,
      );
      if (artifacts.length !== server.sizes.files) {
        throw new Error(`not all files came home: ${JSON.stringify(refused)}`);
      }
    });
  },
  others: {
    "local tar | tar": {
      needs: "isLocal",
      side: async (setting) =>
        program(setting, (folder) => [
          "/bin/sh",
          "-c",
          'tar -C "$1" -cf - . | tar -C "$2" -xf -',
          "tar",
          `${setting.server.folder}/tree`,
          folder,
        ]),
    },
    // What SSH and the disk alone cost, with no check and no digest of what comes.
    "tar, our connection, tar": { side: async (setting) => piped(setting) },
    "sftp -r": {
      needs: "hasSftp",
      isSlow: true,
      side: async (setting) => program(setting, (folder) => copying("sftp", setting, folder)),
    },
    "scp -r": {
      needs: "hasSftp",
      isSlow: true,
      side: async (setting) => program(setting, (folder) => copying("scp", setting, folder)),
    },
    "ssh tar | tar": {
      side: async (setting) =>
        program(setting, (folder) => [
          "/bin/sh",
          "-c",
          'ssh -F "$1" server "$2" | tar -C "$3" -xf -',
          "tar",
          setting.server.sshConfig,
          `tar -C '${setting.server.folder}/tree' -cf - .`,
          folder,
        ]),
    },
  },
  goals: [
    { against: "local tar | tar", of: "time", limit: 1.3 },
    { against: "tar, our connection, tar", of: "time" },
    { against: "sftp -r", of: "speed", limit: 15 },
    { against: "scp -r", of: "speed" },
    { against: "ssh tar | tar", of: "speed" },
  ],
};

/** The server's tar into a tar of this host, over a connection that is open already. */
async function piped(setting: Setting): Promise<() => Promise<number>> {
  const { server, scope, signal } = setting;
  const connection = scope.use(await connectOurs(server, signal));
  return intoFolder(setting, async (folder) => {
    await using unpack = new Child("tar", ["-C", folder, "-xf", "-"], {
      stdio: ["pipe", "inherit", "inherit"],
    });
    const { stdin } = unpack.process;
    using exec = await connection.exec(`tar -C '${server.folder}/tree' -cf - .`, signal);
    exec.endInput();
    for (let piece = await exec.read(); piece !== undefined; piece = await exec.read()) {
      if (stdin?.write(piece) === false) await once(stdin, "drain");
    }
    stdin?.end();
    await unpack.ended;
  });
}

type Command = readonly [string, ...string[]];

function program(setting: Setting, command: (folder: string) => Command): () => Promise<number> {
  return intoFolder(setting, (folder) => runProgram(command(folder), {}, setting.signal));
}

function copying(file: "sftp" | "scp", { server }: Setting, folder: string): Command {
  return [file, "-q", "-r", "-F", server.sshConfig, `server:${server.folder}/tree`, folder];
}
