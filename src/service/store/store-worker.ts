import { parentPort, workerData } from "node:worker_threads";
import { StoreError } from "#service/ports.ts";
import { Ledger } from "./ledger.ts";
import { openDatabase } from "./open-database.ts";
import { type Batch, type BatchReply, runBatch } from "./run-batch.ts";
import { Sql } from "./sql.ts";
import { CLOSE, type FirstWord, type StoreSetup } from "./store-messages.ts";
import { tokens } from "./tokens.ts";

/** The inside of `sqlite-store.ts`: the one thread that has the database. `node:sqlite` holds up whoever calls it. */

function say(message: FirstWord | BatchReply): void {
  parentPort?.postMessage(JSON.stringify(message));
}

function serve({ path, leaseSeconds, ...now }: StoreSetup): void {
  const opened = openDatabase(path);
  const ledger = new Ledger(new Sql(opened.database), { leaseSeconds }, now);
  say({ kind: "open", tokens: tokens(ledger) });
  parentPort?.on("message", (message: string) => {
    if (message !== CLOSE) return say(runBatch(ledger, JSON.parse(message) as Batch));
    opened[Symbol.dispose]();
    parentPort?.close();
  });
}

try {
  serve(workerData as StoreSetup);
} catch (error) {
  const { message } = error as Error;
  say({ kind: "refused", code: error instanceof StoreError ? error.code : "failed", message });
}
