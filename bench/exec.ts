import type { Measurement } from "./measurement.ts";
import { openControlMaster, runProgram } from "./openssh.ts";
import { connectOurs, drainOurs } from "./our-connection.ts";
import { timed } from "./pairs.ts";
import { closeStock, connectStock, drainStock } from "./stock-ssh2.ts";

/** One command is over too soon to be timed alone. */
const COMMANDS = 10;

/** One command on a connection that is there already. */
export const exec: Measurement = {
  name: "exec on an open connection",
  ours: async ({ server, scope, signal }) => {
    const connection = scope.use(await connectOurs(server, signal));
    return each(() => drainOurs(connection, "true", signal));
  },
  others: {
    "stock ssh2": {
      side: async ({ server, scope }) => {
        const client = scope.adopt(await connectStock(server), closeStock);
        return each(() => drainStock(client, "true"));
      },
    },
    "ssh, control master": {
      side: async ({ server, scope, signal }) => {
        const command = await openControlMaster(server, scope);
        return each(() => runProgram(command("true"), {}, signal));
      },
    },
  },
  goals: [
    { against: "stock ssh2", of: "time", limit: 1 / 10 },
    { against: "ssh, control master", of: "time", limit: 1 / 3 },
  ],
};

function each(command: () => Promise<unknown>): () => Promise<number> {
  return async () => {
    const ms = await timed(async () => {
      for (let number = 0; number < COMMANDS; number += 1) await command();
    });
    return ms / COMMANDS;
  };
}
