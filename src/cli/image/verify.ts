import { Command } from "commander";
import { EXIT_CODES } from "#cli/exit-code.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import { openCatalogue } from "#cli/this-host/house.ts";
import { readConfig } from "#config/config.ts";
import { takeInventory } from "#host/images/store/inventory.ts";
import { repairStore } from "#host/images/store/repair.ts";
import { verifyStore } from "#host/images/store/verify.ts";
import { printable } from "#lib/printable.ts";
import { namedImages, pickImage } from "./pick-image.ts";
import { tell, tellingBytes } from "./tell.ts";

const HELP_AFTER = `
Reads every byte and compares it with the images' digests; without names, the rest of the
store is looked at too. Prints a line for each damage. With --repair a damaged image is
set aside, so that it is built or fetched again when somebody names it.

Exit status: 0 nothing is damaged, or all of it was repaired; 3 damage is left.

Examples:
  $ testbed image verify
  $ testbed image verify --repair debian-12
`;

type Options = { readonly repair?: boolean; readonly json?: boolean };

/** `testbed image verify [IMAGES...]`. */
export function imageVerifyCommand(): Command {
  return new Command("verify")
    .summary("read images and name every damage")
    .description("Reads images, all or some, and names every damage.")
    .argument("[images...]", "NAME, NAME:VERSION or NAME@sha256:DIGEST; default: everything")
    .option("--repair", "set damaged images aside, and put right what can be")
    .option("--json", "print it as one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action((references: string[], options: Options) => verify(references, options));
}

async function verify(references: readonly string[], { repair, json }: Options): Promise<void> {
  using cancel = cancelOnSignals(
    () => tell("stopping"),
    () => process.exit(EXIT_CODES.cancelled),
  );
  const { signal } = cancel;
  const config = readConfig();
  const place = await openCatalogue(config);
  const images = await takeInventory(place);
  const named = namedImages(images);
  const digests =
    references.length === 0
      ? undefined
      : [...new Set(references.map((reference) => pickImage(named, reference).image.digest))];
  const look = async () => {
    using bytes = tellingBytes("reading", config);
    return await verifyStore(place.store, digests, { onBytes: bytes.onBytes, signal });
  };
  const damages = await look();
  const repaired = repair && damages.length > 0 ? await repairStore(place, damages, signal) : [];
  // One that is set aside is no longer in the store: what is left is what is damaged still.
  const left = repaired.length === 0 ? damages : await leftOf(look, damages);
  const count = digests?.length ?? images.length;
  if (json)
    await printAnswer(
      `${JSON.stringify({ images: count, damages, repaired, left: left.length }, null, 2)}\n`,
    );
  else {
    const found = damages.map(({ path, says }) => `${printable(path)}: ${printable(says, 500)}\n`);
    const done = repaired.map((line) => `repaired: ${printable(line, 500)}\n`);
    const sum = damages.length === 0 ? "nothing is damaged" : counted(damages.length, "damage");
    const rest = repaired.length > 0 ? `, ${left.length} left` : "";
    await printAnswer(
      `${[...found, ...done].join("")}${counted(count, "image")} read: ${sum}${rest}\n`,
    );
  }
  if (left.length > 0) process.exitCode = EXIT_CODES.broken;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

async function leftOf<D extends { kind: string; path: string; digest?: string }>(
  look: () => Promise<readonly D[]>,
  before: readonly D[],
): Promise<readonly D[]> {
  const wasGone = (damage: D) => damage.kind === "missing" && damage.path === damage.digest;
  const known = new Set(before.map(({ digest }) => digest));
  return (await look()).filter((damage) => !(wasGone(damage) && known.has(damage.digest)));
}
