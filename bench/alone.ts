import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { run } from "#lib/spawn.ts";
import { type Cost, costOf } from "./cost.ts";
import { MEASUREMENTS } from "./measurements.ts";
import type { Server } from "./server.ts";

const TIMEOUT_MS = 120_000;

/**
 * Does our side of a measurement once, in a process of its own, and returns what that cost it: beside other work memory
 * and event loop would tell of that as well.
 */
export async function costAlone(
  measurement: string,
  server: Server,
  signal: AbortSignal,
): Promise<Cost> {
  const { href } = new URL("./main.ts", import.meta.url);
  const hostKey = server.hostKey.toString("base64");
  const printed = await run(
    process.execPath,
    [...process.execArgv, fileURLToPath(href), "--alone"],
    {
      timeoutMs: TIMEOUT_MS,
      signal,
      // On standard input, since it carries a private key.
      input: JSON.stringify({ measurement, server: { ...server, hostKey } }),
    },
  );
  return JSON.parse(printed) as Cost;
}

/** The other end of `costAlone`: reads the order from standard input and returns what is to be printed. */
export async function answerAlone(signal: AbortSignal): Promise<Cost> {
  const order = JSON.parse(await text(process.stdin)) as {
    measurement: string;
    server: Server & { hostKey: string };
  };
  const server: Server = { ...order.server, hostKey: Buffer.from(order.server.hostKey, "base64") };
  const measurement = MEASUREMENTS.find(({ name }) => name === order.measurement);
  if (measurement === undefined) throw new Error(`no measurement is called ${order.measurement}`);
  await using scope = new AsyncDisposableStack();
  const work = await measurement.ours({ server, scope, signal });
  return await costOf(work);
}
