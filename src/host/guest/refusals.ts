import type { Refusal } from "#job/verdict.ts";
import { printable } from "#lib/printable.ts";

const NAME_CHARACTERS_MAX = 256;

/** Refusals as plain data: some by name, and how many more there were. */
export type RefusalCount = { readonly listed: readonly Refusal[]; readonly more: number };

/** What was refused: the first ones by name, the rest counted. */
export class Refusals {
  #listed: Refusal[] = [];
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

  /** Gives away what there is. */
  drain(): RefusalCount {
    const drained = { listed: this.#listed, more: this.#more };
    this.#listed = [];
    this.#more = 0;
    return drained;
  }

  /** Takes what was drained elsewhere. */
  take({ listed, more }: RefusalCount): void {
    const room = this.#max - this.#listed.length;
    this.#listed.push(...listed.slice(0, room));
    this.#more += more + Math.max(0, listed.length - room);
  }

  list(): Refusal[] {
    if (this.#more === 0) return [...this.#listed];
    return [...this.#listed, { name: "…", why: `${this.#more} more were refused` }];
  }
}
