import type { AttemptOrder, Listener } from "./attempt.ts";
import type { Chronicle } from "./chronicle.ts";
import type { Guest } from "./guest-port.ts";
import type { Journal } from "./journal.ts";
import type { House, Machine } from "./ports.ts";

/** What an attempt has got so far, for who looks after its endings. Filled in as it goes. */
export type Holdings = { machine?: Machine; guest?: Guest };

/** An attempt at work: what each of its stages is given. */
export type Work = {
  readonly house: House;
  readonly order: AttemptOrder;
  readonly listener: Listener;
  readonly journal: Journal;
  readonly chronicle: Chronicle;
  readonly holdings: Holdings;
  /** Unwound when the attempt is over, last in first out. */
  readonly scope: AsyncDisposableStack;
};
