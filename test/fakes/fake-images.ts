import { writeFile } from "node:fs/promises";
import { unknownImage } from "#host/images/reference.ts";
import type { Image, Images } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { parseImageReference } from "#job/image-reference.ts";
import { PAPER_IMAGE } from "#test/kit/orders.ts";

type Verb = "resolve" | "hold" | "overlay";

/** A catalogue of paper images, with a dial for faults. Keeps the contract in `test/contract/images.contract.ts`. */
export class FakeImages implements Images {
  readonly #images: readonly Image[];
  readonly #holds = new Map<AsyncDisposable, string>();
  #holdsToMiss = 0;
  readonly #failures = new Map<Verb, unknown>();

  constructor(images: readonly Image[] = [PAPER_IMAGE]) {
    this.#images = images;
  }

  /** The image is gone at the next so many calls of `hold`. */
  missNextHolds(count: number): void {
    this.#holdsToMiss = count;
  }

  /** The next call of a verb throws this. */
  failNext(verb: Verb, error: unknown): void {
    this.#failures.set(verb, error);
  }

  async resolve(
    reference: string,
    onProgress: (line: string) => void,
    signal: AbortSignal,
  ): Promise<Image> {
    signal.throwIfAborted();
    this.#trip("resolve");
    const wanted = parseImageReference(reference);
    const found = this.#images.find(
      ({ name, version, digest }) =>
        name === wanted?.name &&
        version === (wanted.version ?? version) &&
        digest === (wanted.digest ?? digest),
    );
    if (found === undefined) {
      const names = this.#images.map(({ name }) => name);
      throw unknownImage(reference, [], names);
    }
    onProgress(`image ${found.name}: on paper`);
    return found;
  }

  async hold(image: Image, signal: AbortSignal): Promise<AsyncDisposable | undefined> {
    signal.throwIfAborted();
    this.#trip("hold");
    this.#holdsToMiss -= 1;
    if (this.#holdsToMiss >= 0) return undefined;
    if (!this.#images.some(({ digest }) => digest === image.digest)) return undefined;
    const hold = { [Symbol.asyncDispose]: async () => void this.#holds.delete(hold) };
    this.#holds.set(hold, image.digest);
    return hold;
  }

  /** Digests of the images that somebody holds now. */
  get held(): readonly string[] {
    return [...this.#holds.values()];
  }

  async overlay(
    image: Image,
    path: string,
    diskMiB: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    this.#trip("overlay");
    if (diskMiB !== undefined && diskMiB < image.disk.virtualMiB)
      throw new Fault("disk-too-small", `${diskMiB} MiB are too few for ${image.name}`);
    await writeFile(path, "an overlay on paper");
  }

  #trip(verb: Verb): void {
    const error = this.#failures.get(verb);
    this.#failures.delete(verb);
    if (error !== undefined) throw error;
  }
}
