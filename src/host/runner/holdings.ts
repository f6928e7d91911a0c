import type { Guest, Machine } from "./ports.ts";

/** What an attempt has got so far, for who looks after its endings. Filled in as it goes. */
export type Holdings = { machine?: Machine; guest?: Guest };
