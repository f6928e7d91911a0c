import type { Row } from "./row.ts";
import { SECTION_A } from "./section-a.ts";
import { SECTION_B } from "./section-b.ts";
import { SECTION_C } from "./section-c.ts";
import { SECTION_D } from "./section-d.ts";
import { SECTION_E } from "./section-e.ts";
import { SECTION_F } from "./section-f.ts";
import { SECTION_G } from "./section-g.ts";

/** Every fault of the list, in its order. */
export const ROWS: readonly Row[] = [
  ...SECTION_A,
  ...SECTION_B,
  ...SECTION_C,
  ...SECTION_D,
  ...SECTION_E,
  ...SECTION_F,
  ...SECTION_G,
];
