import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LogFile } from "#host/guest/log-file.ts";
import type { Measurement, Setting } from "./measurement.ts";
import { runProgram, ssh } from "./openssh.ts";
import { connectOurs } from "./our-connection.ts";
import { connectGuest } from "./our-guest.ts";
import { timed } from "./pairs.ts";
import { closeStock, connectStock, drainStock } from "./stock-ssh2.ts";
import { intoFolder } from "./transfer.ts";

const LIMIT_BYTES = 2 ** 30;
const LINE_BYTES = 80;

/** A step prints a long log, which comes home into its file, against the same bytes read and thrown away. */
export const log: Measurement = {
  name: "log of a step",
  ours: async (setting) => {
    const guest = await connectGuest(setting);
    const numbers = stepNumbers();
    const work = intoFolder(setting, async (folder) => {
      const logPath = join(folder, "log");
      const step = { name: "print", run: printing(setting), when: "success" } as const;
      await guest.run(
        {
          number: numbers.next().value,
          step: { ...step, timeoutSeconds: undefined, silenceSeconds: undefined },
          env: {},
          logPath,
          logLimitBytes: LIMIT_BYTES,
          attemptSecondsLeft: undefined,
          isBegun: false,
        },
        setting.signal,
      );
      await expectAll(setting, logPath);
    });
    return async () => {
      const ms = await work();
      await forgetLogs(setting);
      return ms;
    };
  },
  others: {
    "connection into a log file": {
      side: async (setting) => {
        const { server, scope, signal } = setting;
        const connection = scope.use(await connectOurs(server, signal));
        return intoFolder(setting, async (folder) => {
          const path = join(folder, "log");
          await using file = await LogFile.open(path, LIMIT_BYTES);
          using exec = await connection.exec(printing(setting), signal);
          exec.endInput();
          for (let piece = await exec.read(); piece !== undefined; piece = await exec.read()) {
            await file.append(piece);
          }
          await exec.ended;
          await expectAll(setting, path);
        });
      },
    },
    "stock ssh2": {
      side: async (setting) => {
        const client = setting.scope.adopt(await connectStock(setting.server), closeStock);
        return () => timed(() => drainStock(client, printing(setting)));
      },
    },
    ssh: {
      side: async (setting) => () =>
        timed(() => runProgram(ssh(setting.server, printing(setting)), {}, setting.signal)),
    },
  },
  goals: [
    { against: "stock ssh2", of: "speed", limit: 0.8 },
    { side: "connection into a log file", against: "stock ssh2", of: "speed", limit: 0.8 },
    { side: "connection into a log file", against: "ssh", of: "speed" },
  ],
};

const STALL_MS = 2000;

/** Somebody who begins to read a log and then does not go on. Only its memory is of interest. */
export const stalledReader: Measurement = {
  name: "stalled reader of a log",
  ours: async (setting) => {
    const { server, scope, signal } = setting;
    const connection = scope.use(await connectOurs(server, signal));
    return () =>
      timed(async () => {
        using exec = await connection.exec(printing(setting), signal);
        exec.endInput();
        await exec.read();
        await delay(STALL_MS, undefined, { signal });
      });
  },
  others: {},
  goals: [],
  memoryMiBMax: 16,
};

const printing = ({ server }: Setting) => `cat '${server.folder}/lines'`;

async function expectAll({ server }: Setting, path: string): Promise<void> {
  const { size } = await stat(path);
  if (size !== server.sizes.lines * LINE_BYTES) throw new Error("a part of the log is missing");
}

/** On this host the guest's own copies of the logs would fill the memory that holds them. */
async function forgetLogs({ server }: Setting): Promise<void> {
  if (!server.isLocal || server.guestFolders === undefined) return;
  await rm(server.guestFolders.logFolder, { recursive: true, force: true });
}

/** A step's number is its identity in the guest: a new one for each, in any process. */
function* stepNumbers(): Generator<number, never> {
  for (let number = process.pid * 1000; ; number += 1) yield number;
}
