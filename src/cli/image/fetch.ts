import { Command } from "commander";
import { EXIT_CODES } from "#cli/exit-code.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import { openHouse } from "#cli/this-host/house.ts";
import { readConfig } from "#config/config.ts";
import { explainUnknown } from "./explain-unknown.ts";
import { tell, tellingBytes } from "./tell.ts";

const HELP_AFTER = `
Asks the catalogues what they have now and brings versions into the store: resumed where
an earlier fetch broke off, checked against the catalogue's SHA-256, inspected. What a bare
name means does not change: 'testbed image smoke' tries a version out and makes its name
mean it, 'testbed image refresh' does all of it.

Examples:
  $ testbed image fetch debian-12-uefi
  $ testbed image fetch debian-12-uefi:20300101 micro@sha256:1f…
`;

/** `testbed image fetch IMAGES...`. */
export function imageFetchCommand(): Command {
  return new Command("fetch")
    .summary("fetch images of a catalogue without using them yet")
    .description("Fetches images of the catalogues that this host follows.")
    .argument("<images...>", "NAME (its newest version), NAME:VERSION or NAME@sha256:DIGEST")
    .option("--json", "print the images as one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action(fetchImages);
}

async function fetchImages(references: string[], { json }: { json?: boolean }): Promise<void> {
  using cancel = cancelOnSignals(
    () => tell("stopping; what was fetched so far is gone on with the next time"),
    () => process.exit(EXIT_CODES.cancelled),
  );
  const config = readConfig();
  await using house = await openHouse(config);
  const images = [];
  for (const reference of references) {
    using bytes = tellingBytes(`fetching ${reference}`, config);
    const progress = { onProgress: tell, onBytes: bytes.onBytes };
    images.push(await house.images.fetch(reference, progress, cancel.signal).catch(explainUnknown));
  }
  await printAnswer(
    json
      ? `${JSON.stringify({ images }, null, 2)}\n`
      : images.map(({ name, version, digest }) => `${name}:${version} sha256:${digest}\n`).join(""),
  );
}
