/** Where the daemon tells what it does: words that are always the same, and fields for what was the case. Never blocks, never throws. */
export type DaemonLog = Readonly<
  Record<
    "info" | "warn" | "error",
    (words: string, fields?: Readonly<Record<string, unknown>>) => void
  >
>;
