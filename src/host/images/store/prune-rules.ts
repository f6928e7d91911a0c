import type { StoredImage } from "./inventory.ts";

/** What may go. Without any of the limits nothing does. */
export type PruneRules = {
  readonly nowMs: number;
  /** Images that were not used for so long go. */
  readonly olderThanMs: number | undefined;
  /** While the store is larger, the least recently used go. */
  readonly budgetBytes: number | undefined;
  /** So many of the newest versions of each name stay. */
  readonly keep: number;
  /** Digests that stay whatever the rest says. */
  readonly pinned: ReadonlySet<string>;
};

/** An image that stays or goes, and why, in words that fit after "stays: " or "goes: ". */
export type Decision = {
  readonly image: StoredImage;
  readonly goes: boolean;
  readonly why: string;
};

/** Who just found an image is about to hold it; and the clock of another file system may be a little off. */
const FRESH_MS = 10 * 60_000;

const DAY_MS = 24 * 3600_000;

type Shield = (image: StoredImage, rules: PruneRules) => string | undefined;

/** What keeps an image, whatever age and budget say; the first reason is told. */
const SHIELDS: readonly Shield[] = [
  ({ currentOf }) => named("current of", currentOf),
  ({ previousOf }) => named("previous of", previousOf, ", kept to fall back to"),
  ({ heldFor }) => (heldFor.has("smoke") ? "its smoke boot runs" : undefined),
  ({ heldFor }) => (heldFor.has("build") ? "another image is built from it" : undefined),
  ({ heldFor }) => (heldFor.has("copy") ? "it is being copied" : undefined),
  ({ heldFor }) => (heldFor.size > 0 ? "held by a running attempt" : undefined),
  ({ machines }) => named("disk of machine", machines),
  ({ digest }, { pinned }) => (pinned.has(digest) ? "pinned" : undefined),
  ({ versionOf }, { keep }) => {
    const kept = versionOf.find(({ newer }) => newer < keep);
    return kept && `one of the newest ${keep} versions of ${kept.name}`;
  },
  ({ usedMs }, { nowMs }) =>
    nowMs - usedMs < FRESH_MS ? "came or was used within ten minutes" : undefined,
];

function named(what: string, names: readonly string[], more = ""): string | undefined {
  return names.length === 0 ? undefined : `${what} ${names.join(", ")}${more}`;
}

/** What keeps this image whatever age and budget say; undefined when nothing does. */
export function shieldOf(image: StoredImage, rules: PruneRules): string | undefined {
  for (const shield of SHIELDS) {
    const why = shield(image, rules);
    if (why !== undefined) return why;
  }
  return undefined;
}

/**
 * Which images go, each with its reason; in the order given. First what is too old; of the rest the least recently used
 * until the store is within its budget. A clock that is behind an image's last use takes it as just used.
 */
export function decide(images: readonly StoredImage[], rules: PruneRules): readonly Decision[] {
  const free: StoredImage[] = [];
  const whys = new Map<StoredImage, { goes: boolean; why: string }>();
  for (const image of images) {
    const shield = shieldOf(image, rules);
    const age = shield === undefined ? tooOld(image, rules) : undefined;
    if (shield !== undefined) whys.set(image, { goes: false, why: shield });
    else if (age !== undefined) whys.set(image, { goes: true, why: age });
    else free.push(image);
  }
  let bytes = images.reduce((sum, one) => sum + (whys.get(one)?.goes ? 0 : one.bytes), 0);
  for (const image of free.sort((a, b) => a.usedMs - b.usedMs)) {
    const isBeyond = rules.budgetBytes !== undefined && bytes > rules.budgetBytes;
    if (isBeyond) bytes -= image.bytes;
    const why = isBeyond ? beyond(rules.budgetBytes ?? 0) : withinLimits(rules);
    whys.set(image, { goes: isBeyond, why });
  }
  return images.map((image) => ({ image, ...(whys.get(image) ?? { goes: false, why: "" }) }));
}

function tooOld({ usedMs }: StoredImage, { olderThanMs, nowMs }: PruneRules): string | undefined {
  if (olderThanMs === undefined || nowMs - usedMs <= olderThanMs) return undefined;
  const date = new Date(usedMs).toISOString().slice(0, 10);
  return `older than ${span(olderThanMs)} and not used since ${date}`;
}

function withinLimits({ olderThanMs, budgetBytes }: PruneRules): string {
  if (olderThanMs !== undefined) return `younger than ${span(olderThanMs)}`;
  return budgetBytes === undefined ? "no limit was given" : "within the budget";
}

function beyond(budgetBytes: number): string {
  return `beyond the budget of ${Math.round(budgetBytes / 2 ** 20)} MiB: least recently used`;
}

function span(ms: number): string {
  return ms % DAY_MS === 0 ? `${ms / DAY_MS} d` : `${Math.round(ms / 60_000)} m`;
}
