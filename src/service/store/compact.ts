import type { DatabaseSize } from "#service/ports.ts";
import type { Ledger } from "./ledger.ts";

/** Free pages that stay for what comes next: giving them back and taking them again would cost twice. */
const FREE_PAGES_KEPT = 2048;

/** Pages that one call gives back to the disk: half a millisecond. */
const PAGES_AT_ONCE = 64;

/** Gives some free pages of the database back to the disk, when there are many, and tells its size. */
export function compact({ sql }: Ledger): DatabaseSize {
  const number = (pragma: "page_count" | "page_size" | "freelist_count") =>
    Number(sql.one(`PRAGMA ${pragma}`)?.[pragma] ?? 0);
  const freePages = number("freelist_count");
  const isLoose = freePages > FREE_PAGES_KEPT && freePages > number("page_count") / 10;
  // One row for each page: https://www.sqlite.org/pragma.html#pragma_incremental_vacuum
  if (isLoose) sql.all(`PRAGMA incremental_vacuum(${PAGES_AT_ONCE})`);
  const pageBytes = number("page_size");
  return {
    bytes: number("page_count") * pageBytes,
    freeBytes: number("freelist_count") * pageBytes,
  };
}
