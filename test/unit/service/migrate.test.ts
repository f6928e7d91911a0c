import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { migrate, readMigrations } from "#service/store/migrate.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const OURS = readMigrations(join(ROOT, "src/service/store/migrations"));

const versionOf = (database: DatabaseSync) =>
  database.prepare("PRAGMA user_version").get()?.["user_version"];

test("an empty database gets the newest schema, and a second time changes nothing", () => {
  using database = new DatabaseSync(":memory:");
  migrate(database, OURS);
  expect(versionOf(database)).toBe(OURS.length);
  migrate(database, OURS);
  expect(database.prepare("SELECT count(*) AS count FROM jobs").get()).toEqual({ count: 0 });
});

test("only what is missing is done", () => {
  using database = new DatabaseSync(":memory:");
  migrate(database, ["CREATE TABLE a (x)"]);
  database.exec("INSERT INTO a VALUES (1)");
  migrate(database, ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y DEFAULT 2"]);
  expect(database.prepare("SELECT * FROM a").all()).toEqual([{ x: 1, y: 2 }]);
  expect(versionOf(database)).toBe(2);
});

test("a step that breaks off leaves the schema before it", () => {
  using database = new DatabaseSync(":memory:");
  const steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (x)"];
  expect(() => migrate(database, steps)).toThrow("already exists");
  expect(versionOf(database)).toBe(1);
  expect(() => database.prepare("SELECT * FROM b")).toThrow("no such table");
  migrate(database, ["CREATE TABLE a (x)", "CREATE TABLE b (x)"]);
  expect(versionOf(database)).toBe(2);
});

test("a newer schema is refused in words that help", () => {
  using database = new DatabaseSync(":memory:");
  database.exec("PRAGMA user_version = 7");
  expect(() => migrate(database, ["CREATE TABLE a (x)"])).toThrow(
    "the database has schema 7, this testbed knows 1: run the newer testbed, or restore a backup",
  );
  expect(versionOf(database)).toBe(7);
});

test("migrations are numbered without gaps", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "migrations");
  await mkdir(path);
  await writeFile(join(path, "0001-a.sql"), "SELECT 1");
  await writeFile(join(path, "notes.txt"), "");
  expect(readMigrations(path)).toEqual(["SELECT 1"]);
  await writeFile(join(path, "0003-c.sql"), "SELECT 3");
  expect(() => readMigrations(path)).toThrow("0003-c.sql is out of order");
});
