/** Memory for bodies that are read whole before they are looked at: together, and of one token. */
export type BodyBytes = { readonly all: number; readonly ofOne: number };

/** Counts the bodies that are in memory, so that many large ones at once cannot fill it. */
export class BodyBudget {
  readonly #most: BodyBytes;
  readonly #byToken = new Map<string, number>();
  #bytes = 0;

  constructor(most: BodyBytes) {
    this.#most = most;
  }

  /** Room for a body until it is given back, twice being safe; else whose share is used up. */
  take(token: string, bytes: number): Disposable | "all" | "ofOne" {
    const before = this.#byToken.get(token) ?? 0;
    // Somebody who has nothing here may always have one, however small the share was made.
    if (before > 0 && before + bytes > this.#most.ofOne) return "ofOne";
    if (this.#bytes > 0 && this.#bytes + bytes > this.#most.all) return "all";
    this.#bytes += bytes;
    this.#byToken.set(token, before + bytes);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#bytes -= bytes;
        const left = (this.#byToken.get(token) ?? 0) - bytes;
        if (left > 0) this.#byToken.set(token, left);
        else this.#byToken.delete(token);
      },
    };
  }
}
