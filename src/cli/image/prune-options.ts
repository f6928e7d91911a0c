import { InvalidArgumentError } from "commander";
import type { PruneRules } from "#host/images/store/prune-rules.ts";
import { parseQuantity } from "#job/quantity.ts";
import { type NamedImage, pickImage } from "./pick-image.ts";

/** What the command line says of pruning. */
export type PruneLimits = {
  readonly olderThanSeconds: number | undefined;
  readonly budgetMiB: number | undefined;
  readonly keep: number;
  /** References of images that stay. */
  readonly pin: readonly string[];
};

/** When nothing else is said. */
export const DEFAULT_RULES: PruneLimits = {
  olderThanSeconds: 30 * 86_400,
  budgetMiB: undefined,
  keep: 2,
  pin: [],
};

/** The rules that follow, now. Throws `UsageError` when a pinned image is not there. */
export function rulesOf(limits: PruneLimits, images: readonly NamedImage[]): PruneRules {
  const { olderThanSeconds, budgetMiB, keep, pin } = limits;
  return {
    nowMs: Date.now(),
    olderThanMs: olderThanSeconds === undefined ? undefined : olderThanSeconds * 1000,
    budgetBytes: budgetMiB === undefined ? undefined : budgetMiB * 2 ** 20,
    keep,
    pinned: new Set(pin.map((reference) => pickImage(images, reference).image.digest)),
  };
}

/** For commander: a duration such as `30d`, in seconds. */
export function parseDuration(text: string): number {
  const seconds = parseQuantity("duration", text);
  if (seconds !== undefined) return seconds;
  throw new InvalidArgumentError("It must be a whole number and s, m, h or d, such as 30d.");
}

/** For commander: a size such as `50GiB`, in MiB. */
export function parseSize(text: string): number {
  const mib = parseQuantity("size", text);
  if (mib !== undefined) return mib;
  throw new InvalidArgumentError("It must be a whole number and MiB, GiB or TiB, such as 50GiB.");
}
