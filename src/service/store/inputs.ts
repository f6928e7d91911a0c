import type { Ledger } from "./ledger.ts";

/** Notes an uploaded input: see `Store.addInput`. */
export function addInput(
  { sql, wallMs }: Ledger,
  { owner, sha256, bytes }: { owner: string; sha256: string; bytes: number },
): void {
  sql.run(
    "INSERT OR IGNORE INTO inputs (owner, sha256, bytes, added_at) VALUES (?, ?, ?, ?)",
    owner,
    sha256,
    bytes,
    wallMs,
  );
}

/** The size of an input of an owner: see `Store.inputOf`. */
export function inputOf(
  { sql }: Ledger,
  { owner, sha256 }: { owner: string; sha256: string },
): number | undefined {
  return sql.one<{ bytes: number }>(
    "SELECT bytes FROM inputs WHERE owner = ? AND sha256 = ?",
    owner,
    sha256,
  )?.bytes;
}
