import type { Refusal } from "#job/verdict.ts";
import { printable } from "#lib/printable.ts";

const NAME_CHARACTERS_MAX = 256;

/** What was refused: the first ones by name, the rest counted. */
export class Refusals {
  readonly #listed: Refusal[] = [];
  readonly #max: number;
  #more = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** `name` is a guest's own text; it is made printable and cut. */
  add(name: string, why: string): void {
    if (this.#listed.length >= this.#max) this.#more += 1;
    else this.#listed.push({ name: printable(name, NAME_CHARACTERS_MAX), why });
  }

  list(): Refusal[] {
    if (this.#more === 0) return [...this.#listed];
    return [...this.#listed, { name: "…", why: `${this.#more} more were refused` }];
  }
}
