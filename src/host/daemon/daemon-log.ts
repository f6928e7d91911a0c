/** Where the daemon tells what it does: fields for programs, words for people. Never blocks, never throws. */
export type DaemonLog = Readonly<
  Record<
    "info" | "warn" | "error",
    (fields: Readonly<Record<string, unknown>>, words: string) => void
  >
>;
