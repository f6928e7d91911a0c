import { ROWS } from "./rows.ts";
import { runRows } from "./run-rows.ts";

runRows(ROWS.filter((row) => "fakes" in row));
