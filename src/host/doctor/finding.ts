/** `problem`: no job can run until it is mended. `warning`: jobs run, but worse, or something is not known. */
export type Mark = "ok" | "warning" | "problem";

/** What one look at the host showed. */
export type Finding = {
  readonly mark: Mark;
  /** For people, without a full stop. */
  readonly found: string;
  /** A shell command that mends it, or says more. */
  readonly mend?: string;
};

/** All is well. */
export function ok(found: string): Finding {
  return { mark: "ok", found };
}

/** Jobs run, but worse than they could. */
export function warning(found: string, mend?: string): Finding {
  return { mark: "warning", found, ...(mend === undefined ? {} : { mend }) };
}

/** No job can run. */
export function problem(found: string, mend?: string): Finding {
  return { mark: "problem", found, ...(mend === undefined ? {} : { mend }) };
}

/** A word as a POSIX shell must be given it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
