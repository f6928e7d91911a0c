import type { AttemptBook, AttemptFolder } from "#host/daemon/ports.ts";

/**
 * Where a daemon is killed: before or after the nth time that it writes something of an attempt down. Each phase, each step's begin and
 * end, the machine, the guest, the verdict, the report and the end of the folder are such moments, so a sweep over all numbers visits
 * every gap between an intent, its act and its result.
 */
export type CrashPoint = { readonly side: "before" | "after"; readonly nth: number };

/** A book whose writes kill this process at a point. */
export function crashingBook(book: AttemptBook, { side, nth }: CrashPoint): AttemptBook {
  let count = 0;
  const around = async <T>(write: () => Promise<T>): Promise<T> => {
    count += 1;
    const isNow = count === nth;
    if (isNow && side === "before") process.kill(process.pid, "SIGKILL");
    const done = await write();
    if (isNow) process.kill(process.pid, "SIGKILL");
    return done;
  };
  const folderOf = (folder: AttemptFolder): AttemptFolder => ({
    ...folder,
    journal: async () => {
      const opened = await folder.journal();
      if (opened instanceof Error) return opened;
      return { past: opened.past, note: (entry) => around(() => opened.note(entry)) };
    },
    settle: (report) => around(() => folder.settle(report)),
    forget: () => around(() => folder.forget()),
  });
  return {
    ...book,
    begin: (grant) =>
      around(async () => {
        const folder = await book.begin(grant);
        return folder === undefined ? undefined : folderOf(folder);
      }),
    open: async () => (await book.open()).map(folderOf),
  };
}

/** How a crash point is said on a command line: `before:3`. */
export function crashPointOf(text: string | undefined): CrashPoint | undefined {
  const [, side, nth] = /^(before|after):([0-9]+)$/.exec(text ?? "") ?? [];
  if (side === undefined) return undefined;
  return { side: side as CrashPoint["side"], nth: Number(nth) };
}
