import type { InputName, UploadOrder } from "#service/ports.ts";
import type { Ledger } from "./ledger.ts";

/** Notes an uploaded input: see `Store.addInput`. */
export function addInput(
  ledger: Ledger,
  { owner, sha256, bytes }: InputName & { readonly bytes: number },
): void {
  const { sql, wallMs } = ledger;
  dropUpload(ledger, { owner, sha256 });
  sql.run(
    `INSERT INTO inputs (owner, sha256, bytes, used_at) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (owner, sha256) DO UPDATE SET used_at = ?4`,
    owner,
    sha256,
    bytes,
    wallMs,
  );
}

/** The size of an input of an owner: see `Store.inputOf`. */
export function inputOf({ sql }: Ledger, { owner, sha256 }: InputName): number | undefined {
  return sql.one<{ bytes: number }>(
    "SELECT bytes FROM inputs WHERE owner = ? AND sha256 = ?",
    owner,
    sha256,
  )?.bytes;
}

/** Notes that an upload begins or goes on, if its owner has room for it: see `Store.beginInput`. */
export function beginInput(
  { sql, wallMs }: Ledger,
  { owner, sha256, bytes, bytesMax }: UploadOrder,
): number | undefined {
  const { taken } = sql.one<{ taken: number }>(
    `SELECT coalesce(sum(bytes), 0) AS taken FROM
       (SELECT bytes FROM inputs WHERE owner = ?1 AND sha256 <> ?2
        UNION ALL SELECT bytes FROM uploads WHERE owner = ?1 AND sha256 <> ?2)`,
    owner,
    sha256,
  ) ?? { taken: 0 };
  if (taken + bytes > bytesMax) return taken;
  sql.run(
    `INSERT INTO uploads (owner, sha256, bytes, touched_at) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (owner, sha256) DO UPDATE SET bytes = ?3, touched_at = ?4`,
    owner,
    sha256,
    bytes,
    wallMs,
  );
  return undefined;
}

/** Forgets an upload of which nothing is left: see `Store.dropUpload`. */
export function dropUpload({ sql }: Ledger, { owner, sha256 }: InputName): void {
  sql.run("DELETE FROM uploads WHERE owner = ? AND sha256 = ?", owner, sha256);
}

/** A held input is as good as used again after so long; sooner would be a write for each submit. */
const TOUCH_AFTER_MS = 3_600_000;

/** Notes that an input is used, so that it stays. */
export function touchInput({ sql, wallMs }: Ledger, { owner, sha256 }: InputName): void {
  sql.run(
    "UPDATE inputs SET used_at = ?1 WHERE owner = ?2 AND sha256 = ?3 AND used_at < ?1 - ?4",
    wallMs,
    owner,
    sha256,
    TOUCH_AFTER_MS,
  );
}

const HELD = `EXISTS (SELECT 1 FROM job_inputs JOIN jobs USING (job)
  WHERE job_inputs.sha256 = inputs.sha256 AND jobs.owner = inputs.owner AND jobs.state <> 'settled')`;

/** Inputs that nobody used for long, oldest first. Those that a job still holds count as used now. */
export function staleInputs(
  ledger: Ledger,
  { before, most }: { before: number; most: number },
): readonly InputName[] {
  const { sql } = ledger;
  const old = sql.all<{ owner: string; sha256: string; held: number }>(
    `SELECT owner, sha256, ${HELD} AS held FROM inputs WHERE used_at < ? ORDER BY used_at LIMIT ?`,
    before,
    most,
  );
  for (const { owner, sha256, held } of old) if (held === 1) touchInput(ledger, { owner, sha256 });
  return old.filter(({ held }) => held === 0).map(({ owner, sha256 }) => ({ owner, sha256 }));
}

/** Forgets an input that nobody used for long and that no job holds: see `Store.dropInput`. */
export function dropInput(
  { sql, wallMs }: Ledger,
  { owner, sha256, unusedSeconds }: InputName & { readonly unusedSeconds: number },
): boolean {
  sql.run(
    `DELETE FROM inputs WHERE owner = ? AND sha256 = ? AND used_at < ? AND NOT ${HELD}`,
    owner,
    sha256,
    wallMs - unusedSeconds * 1000,
  );
  return inputOf({ sql } as Ledger, { owner, sha256 }) === undefined;
}
