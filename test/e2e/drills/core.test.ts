import { ROWS } from "./rows.ts";
import { runRows } from "./run-rows.ts";

runRows(ROWS.filter(({ isCore }) => isCore === true));
