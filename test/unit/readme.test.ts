import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FAULTS } from "#job/fault.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const readme = readFileSync(join(ROOT, "README.md"), "utf8");

/** The rows of all README tables whose first cell is one word in back quotes. */
const rows = [...readme.matchAll(/^\| `([^`]+)` \| (.*) \|$/gm)].map(([, key, rest]) => ({
  key: key as string,
  cells: (rest as string).split(" | "),
}));

test("the README tells of every fault what the table of faults says, and of no other", () => {
  const told = rows.filter(
    ({ cells }) => cells.length === 3 && cells[1]?.match(/^(never|anywhere|elsewhere)$/),
  );
  const table = Object.entries(FAULTS).map(([key, { blame, retry, says }]) => ({
    key,
    cells: [blame, retry, says],
  }));
  expect(told).toEqual(table);
});

test("the README names every room, and no room that is not there", () => {
  const told = rows.map(({ key }) => key).filter((key) => key.startsWith("src/"));
  const folders = (path: string) =>
    readdirSync(join(ROOT, path), { withFileTypes: true }).map((entry) => `${path}/${entry.name}`);
  const houses = ["src/host", "src/service"];
  const rooms = [
    ...folders("src").filter((path) => !houses.includes(path)),
    ...houses.flatMap((house) => folders(house)),
  ];
  expect([...told].sort()).toEqual(rooms.sort());
});

test("every example job stands in the README's table, with its exit status", () => {
  const examples = readdirSync(join(ROOT, "config/examples")).filter((file) =>
    file.endsWith(".yaml"),
  );
  const told = rows.map(({ key }) => key).filter((key) => key.endsWith(".yaml"));
  expect([...told].sort()).toEqual(examples.sort());
});
