import { parentPort, workerData } from "node:worker_threads";
import { StoreError } from "#service/ports.ts";
import { Ledger, type LedgerOptions, type Now } from "./ledger.ts";
import { openDatabase } from "./open-database.ts";
import { type Batch, type BatchReply, runBatch } from "./run-batch.ts";
import { Sql } from "./sql.ts";
import { type HashedToken, tokens } from "./tokens.ts";

/** The inside of `sqlite-store.ts`: the one thread that has the database. `node:sqlite` holds up whoever calls it. */

/** What the thread is started with. */
export type StoreSetup = Now & LedgerOptions & { readonly path: string };

/** What the thread says: once whether it opened, then a reply to each batch, in their order. */
export type StoreMessage =
  | { readonly kind: "open"; readonly tokens: readonly HashedToken[] }
  | { readonly kind: "refused"; readonly code: StoreError["code"]; readonly message: string }
  | ({ readonly kind: "reply" } & BatchReply);

function say(message: StoreMessage): void {
  parentPort?.postMessage(message);
}

function serve({ path, leaseSeconds, ...now }: StoreSetup): void {
  const opened = openDatabase(path);
  const ledger = new Ledger(new Sql(opened.database), { leaseSeconds }, now);
  say({ kind: "open", tokens: tokens(ledger) });
  parentPort?.on("message", (batch: Batch | "close") => {
    if (batch !== "close") return say({ kind: "reply", ...runBatch(ledger, batch) });
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
