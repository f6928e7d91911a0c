import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { StoreError } from "#service/ports.ts";

/** Where the schema's steps lie. */
export const MIGRATIONS = new URL("./migrations/", import.meta.url).pathname;

/** The texts of the numbered files in `folder`, in their order: `0001-….sql` makes schema 1. */
export function readMigrations(folder: string): readonly string[] {
  const names = readdirSync(folder)
    .filter((name) => /^[0-9]{4}-.*\.sql$/.test(name))
    .sort();
  const misplaced = names.find((name, at) => Number(name.slice(0, 4)) !== at + 1);
  if (misplaced !== undefined) throw new Error(`${misplaced} is out of order in ${folder}`);
  return names.map((name) => readFileSync(join(folder, name), "utf8"));
}

/**
 * Brings a database to the newest schema, each step in a transaction of its own, so that one that breaks off leaves the
 * schema before it. `user_version` is the number of the schema. Twice is safe. A newer schema than ours is not touched:
 * throws `newer`.
 */
export function migrate(database: DatabaseSync, migrations: readonly string[]): void {
  const has = database.prepare("PRAGMA user_version").get()?.["user_version"];
  const version = Number(has);
  if (version > migrations.length) {
    throw new StoreError(
      "newer",
      `the database has schema ${version}, this testbed knows ${migrations.length}: run the newer testbed, or restore a backup`,
    );
  }
  for (let next = version; next < migrations.length; next += 1) {
    database.exec("BEGIN IMMEDIATE");
    try {
      database.exec(`${migrations[next]}; PRAGMA user_version = ${next + 1}; COMMIT`);
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
  }
}
