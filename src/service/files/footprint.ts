/** How many bytes lie on each shelf: measured now and then, and counted on in between. */
export class Footprint {
  readonly #byShelf = new Map<string, number>();
  #bytes = 0;

  /** Of all shelves together. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes were written, or with a negative number removed. */
  add(shelf: string, bytes: number): void {
    this.set(shelf, (this.#byShelf.get(shelf) ?? 0) + bytes);
  }

  /** A shelf was measured. */
  set(shelf: string, bytes: number): void {
    this.#bytes += bytes - (this.#byShelf.get(shelf) ?? 0);
    if (bytes === 0) this.#byShelf.delete(shelf);
    else this.#byShelf.set(shelf, bytes);
  }
}
