import type { Ledger } from "./ledger.ts";

/**
 * Moves the limits of waiting jobs along when the wall clock was set to another time. To be called before one is compared with the
 * wall clock, or made from it.
 */
export function followClock(ledger: Ledger): void {
  const jumpMs = ledger.takeJump();
  if (jumpMs === 0) return;
  ledger.sql.run("UPDATE queue SET limit_at = limit_at + ? WHERE limit_at IS NOT NULL", jumpMs);
}
