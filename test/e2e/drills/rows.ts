import type { Row } from "./row.ts";
import { SECTION_A } from "./section-a.ts";
import { SECTION_B } from "./section-b.ts";

/** Every fault of the list, in its order. */
export const ROWS: readonly Row[] = [...SECTION_A, ...SECTION_B];
