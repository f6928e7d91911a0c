import { Command } from "commander";
import { type Column, tableOf, terminalWidth } from "#cli/client/columns.ts";
import { EXIT_CODES } from "#cli/exit-code.ts";
import { parseWhole } from "#cli/options/arguments.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import { openCatalogue } from "#cli/this-host/house.ts";
import { readConfig } from "#config/config.ts";
import { takeInventory } from "#host/images/store/inventory.ts";
import { type Pruned, planPrune, prune } from "#host/images/store/prune.ts";
import type { Decision } from "#host/images/store/prune-rules.ts";
import { recoverStore } from "#host/images/store/recover.ts";
import { bytesInWords } from "#lib/words.ts";
import { namedImages } from "./pick-image.ts";
import { DEFAULT_RULES, parseDuration, parseSize, rulesOf } from "./prune-options.ts";
import { tell } from "./tell.ts";

const HELP_AFTER = `
Stays in any case: what a name means, and what it meant before; the newest versions of
each name (--keep); what a running attempt, a smoke boot, a build or an export uses; what
the disk of a machine stands on; what was used within ten minutes.
Of the rest goes what was not used for so long (--older-than, 30d unless a budget is
given), then the least recently used until the store is no larger than --budget.
What killed builds, fetches and prunes left behind goes as well.

Examples:
  $ testbed image prune --dry-run
  $ testbed image prune --older-than 7d --budget 50GiB
`;

type Options = {
  readonly olderThan?: number;
  readonly budget?: number;
  readonly keep: number;
  readonly pin?: readonly string[];
  readonly dryRun?: boolean;
  readonly json?: boolean;
};

/** `testbed image prune`. */
export function imagePruneCommand(): Command {
  return new Command("prune")
    .summary("remove images that nobody needs")
    .description("Removes images that nobody needs, and says of each why it stays or goes.")
    .option("--older-than <time>", "remove what was not used for so long", parseDuration)
    .option(
      "--budget <size>",
      "remove the least recently used while the store is larger",
      parseSize,
    )
    .option("--keep <n>", "newest versions of each name that stay", parseWhole, DEFAULT_RULES.keep)
    .option("--pin <images...>", "images that stay")
    .option("--dry-run", "only say what would go, and why")
    .option("--json", "print it as one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action(pruneImages);
}

async function pruneImages(options: Options): Promise<void> {
  const { olderThan, budget, keep, pin = [], dryRun = false, json = false } = options;
  using cancel = cancelOnSignals(
    () => tell("stopping"),
    () => process.exit(EXIT_CODES.cancelled),
  );
  const { signal } = cancel;
  const place = await openCatalogue(readConfig());
  const byDefault = budget === undefined ? DEFAULT_RULES.olderThanSeconds : undefined;
  const limits = { olderThanSeconds: olderThan ?? byDefault, budgetMiB: budget, keep, pin };
  const rules = rulesOf(limits, namedImages(await takeInventory(place)));
  const mended = dryRun ? [] : await recoverStore(place.store, signal);
  for (const line of mended) tell(line);
  const onRemoved = ({ image, why }: Decision) =>
    tell(`removed ${nameOf(image)} (${bytesInWords(image.bytes)}): ${why}`);
  const pruned = dryRun
    ? await planPrune(place, rules)
    : await prune(place, rules, { onRemoved, signal });
  await printAnswer(json ? asJson(pruned, dryRun, mended) : inWords(pruned, dryRun));
}

function asJson(
  { decisions, freedBytes, leftBytes }: Pruned,
  dryRun: boolean,
  mended: readonly string[],
): string {
  const images = decisions.map(({ image, goes, why }) => {
    const { name, version } = namedImages([image])[0] ?? { name: "?", version: "?" };
    return { name, version, digest: image.digest, bytes: image.bytes, goes, why };
  });
  return `${JSON.stringify({ dryRun, images, freedBytes, leftBytes, mended }, null, 2)}\n`;
}

const COLUMNS: readonly Column<Decision>[] = [
  { head: "IMAGE", cell: ({ image }) => nameOf(image) },
  { head: "DIGEST", cell: ({ image }) => image.digest.slice(0, 12) },
  { head: "SIZE", cell: ({ image }) => bytesInWords(image.bytes), isRight: true },
];

/** By name, as a list has them. */
function inOrder(decisions: readonly Decision[]): readonly Decision[] {
  const named = namedImages(decisions.map(({ image }) => image)).map(({ image }) => image);
  return decisions.toSorted((a, b) => named.indexOf(a.image) - named.indexOf(b.image));
}

function inWords({ decisions, freedBytes, leftBytes }: Pruned, dryRun: boolean): string {
  const columns: readonly Column<Decision>[] = [
    ...COLUMNS,
    { head: "", cell: ({ goes }) => (goes ? (dryRun ? "goes" : "gone") : "stays") },
    { head: "WHY", cell: ({ why }) => why, least: 20 },
  ];
  const table = decisions.length === 0 ? "" : tableOf(columns, inOrder(decisions), terminalWidth());
  const freed = `${dryRun ? "would free" : "freed"} ${bytesInWords(freedBytes)}`;
  return `${table}${freed}; ${bytesInWords(leftBytes)} stay\n`;
}

function nameOf(image: Decision["image"]): string {
  const [first] = namedImages([image]);
  return first === undefined ? "?" : `${first.name}:${first.version}`;
}
