import type { StoreError } from "#service/ports.ts";
import type { LedgerOptions, Now } from "./ledger.ts";
import type { HashedToken } from "./tokens.ts";

/**
 * What goes between the store's thread and the line before it, besides `Batch` and `BatchReply`. All of it is sent as JSON
 * text: that takes half the time of a structured clone.
 */

/** What the thread is started with; this alone is no text. */
export type StoreSetup = Now & LedgerOptions & { readonly path: string };

/** What the thread says first: whether it opened. Then comes a reply to each batch, in their order. */
export type FirstWord =
  | { readonly kind: "open"; readonly tokens: readonly HashedToken[] }
  | { readonly kind: "refused"; readonly code: StoreError["code"]; readonly message: string };

/** Closes the database and ends the thread. */
export const CLOSE = "close";
