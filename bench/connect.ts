import type { Measurement } from "./measurement.ts";
import { runProgram, ssh } from "./openssh.ts";
import { connectOurs, drainOurs } from "./our-connection.ts";
import { timed } from "./pairs.ts";
import { closeStock, connectStock, drainStock } from "./stock-ssh2.ts";

/** From nothing to a connection that is logged in. */
export const connect: Measurement = {
  name: "connect to ready",
  ours:
    async ({ server, signal }) =>
    async () => {
      const startedAtMs = performance.now();
      using _ = await connectOurs(server, signal);
      return performance.now() - startedAtMs;
    },
  others: {
    "stock ssh2": {
      side:
        async ({ server }) =>
        async () => {
          const startedAtMs = performance.now();
          const client = await connectStock(server);
          const ms = performance.now() - startedAtMs;
          await closeStock(client);
          return ms;
        },
    },
  },
  goals: [{ against: "stock ssh2", of: "time", limit: 1 / 2 }],
};

/** What a person does who types `ssh HOST true`. */
export const oneCommand: Measurement = {
  name: "new connection and one command",
  ours:
    async ({ server, signal }) =>
    () =>
      timed(async () => {
        using connection = await connectOurs(server, signal);
        await drainOurs(connection, "true", signal);
      }),
  others: {
    ssh: {
      side:
        async ({ server, signal }) =>
        () =>
          timed(() => runProgram(ssh(server, "true"), {}, signal)),
    },
    "stock ssh2": {
      side:
        async ({ server }) =>
        () =>
          timed(async () => {
            const client = await connectStock(server);
            await drainStock(client, "true");
            await closeStock(client);
          }),
    },
  },
  goals: [
    { against: "ssh", of: "time" },
    { against: "stock ssh2", of: "time" },
  ],
};
