/** How much the things of an attempt may take: together, and how many there may be. */
export type Allowance = { readonly bytesMax: number; readonly countMax: number };

type Known = { readonly bytesOf: Map<string, number>; sum: number };

/** What the logs, or the artifacts, of one attempt take. What is there already is looked up once. */
export class Tally {
  readonly #load: () => Promise<ReadonlyMap<string, number>>;
  #loading: Promise<Known> | undefined;

  /** `load` gives the bytes of each thing that is there. */
  constructor(load: () => Promise<ReadonlyMap<string, number>>) {
    this.#load = load;
  }

  /** Bytes that a thing counts for: as long as it was ever allowed to become. */
  async of(name: string): Promise<number> {
    return (await this.#known()).bytesOf.get(name) ?? 0;
  }

  /** Whether a thing may be so long; if so, it counts as that long from now on. Twice is safe. */
  async claim(name: string, bytes: number, { bytesMax, countMax }: Allowance): Promise<boolean> {
    const known = await this.#known();
    const before = known.bytesOf.get(name);
    if (before !== undefined && before >= bytes) return true;
    const sum = known.sum - (before ?? 0) + bytes;
    if (sum > bytesMax || (before === undefined && known.bytesOf.size >= countMax)) return false;
    known.bytesOf.set(name, bytes);
    known.sum = sum;
    return true;
  }

  #known(): Promise<Known> {
    this.#loading ??= this.#load().then(
      (there) => ({
        bytesOf: new Map(there),
        sum: [...there.values()].reduce((sum, bytes) => sum + bytes, 0),
      }),
      (error: unknown) => {
        this.#loading = undefined;
        throw error;
      },
    );
    return this.#loading;
  }
}
