import type { TokenView } from "#protocol/token.ts";
import { type NewToken, StoreError } from "#service/ports.ts";
import { randomId } from "./ids.ts";
import type { Ledger } from "./ledger.ts";
import type { Row } from "./sql.ts";
import { present, timeOf } from "./views.ts";

const TOKENS_MAX = 10_000;

/** A token with the hash of its secret. */
export type HashedToken = TokenView & { readonly hash: string };

type TokenRow = Row & {
  id: string;
  name: string;
  role: string;
  hash: string;
  created_at: number;
  revoked_at: number | null;
};

/** Keeps a token: see `Store.addToken`. */
export function addToken({ sql, wallMs }: Ledger, { name, role, hash }: NewToken): HashedToken {
  const count = sql.one<{ count: number }>("SELECT count(*) AS count FROM tokens")?.count ?? 0;
  if (count >= TOKENS_MAX) throw new StoreError("full", `there are ${TOKENS_MAX} tokens`);
  const id = randomId(4);
  sql.run(
    "INSERT INTO tokens (id, name, role, hash, created_at) VALUES (?, ?, ?, ?, ?)",
    id,
    name,
    role,
    hash,
    wallMs,
  );
  return { id, name, role, hash, createdAt: timeOf(wallMs) };
}

/** All tokens: see `Store.tokens`. */
export function tokens({ sql }: Ledger): readonly HashedToken[] {
  return sql
    .all<TokenRow>("SELECT * FROM tokens ORDER BY created_at, id")
    .map(({ id, name, role, hash, created_at, revoked_at }) => ({
      id,
      name,
      role: role as TokenView["role"],
      hash,
      createdAt: timeOf(created_at),
      ...present({ revokedAt: revoked_at === null ? null : timeOf(revoked_at) }),
    }));
}

/** Revokes a token: see `Store.revokeToken`. */
export function revokeToken({ sql, wallMs }: Ledger, id: string): boolean {
  const text = "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?";
  return sql.run(text, wallMs, id) > 0;
}
