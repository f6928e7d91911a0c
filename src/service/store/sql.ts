import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";

type Values = readonly SQLInputValue[];

/** One row as SQLite gives it. */
export type Row = Record<string, string | number | null>;

/** A database with its statements kept prepared. The texts are constants of this room, so there are few of them. */
export class Sql {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** True while a transaction is open; SQLite ends one by itself when the disk is full, for one. */
  get isInTransaction(): boolean {
    return this.#database.isTransaction;
  }

  /** Runs a statement and returns how many rows it changed. */
  run(text: string, ...values: Values): number {
    return Number(this.#prepare(text).run(...values).changes);
  }

  /** Runs an insert and returns the new row's number. */
  insert(text: string, ...values: Values): number {
    return Number(this.#prepare(text).run(...values).lastInsertRowid);
  }

  /** The first row, or undefined. */
  one<T extends Row>(text: string, ...values: Values): T | undefined {
    return this.#prepare(text).get(...values) as T | undefined;
  }

  /** All rows; the caller has put a limit on them. */
  all<T extends Row>(text: string, ...values: Values): readonly T[] {
    return this.#prepare(text).all(...values) as T[];
  }

  #prepare(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#database.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }
}
