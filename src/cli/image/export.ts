import { Command, Option } from "commander";
import { EXIT_CODES } from "#cli/exit-code.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import { openCatalogue } from "#cli/this-host/house.ts";
import { readConfig } from "#config/config.ts";
import { exportImage } from "#host/images/exchange/export-image.ts";
import { PACKINGS, type Packing } from "#host/images/exchange/pack-file.ts";
import { takeInventory } from "#host/images/store/inventory.ts";
import { explainRefusal } from "./import.ts";
import { namedImages, pickImage } from "./pick-image.ts";
import { tell, tellingBytes } from "./tell.ts";

const HELP_AFTER = `
Writes FOLDER/NAME/VERSION/ and adds the image to FOLDER/catalogue.yaml, of which
'testbed image sign FOLDER' makes a catalogue for other hosts. What else that file
says stays as it is.

Examples:
  $ testbed image export debian-12 --to /srv/catalogue --compress zstd
  $ testbed image import /srv/catalogue/debian-12/20300101     # of one that is not compressed
`;

type Options = { readonly to: string; readonly compress: Packing; readonly json?: boolean };

/** `testbed image export IMAGE --to FOLDER`. */
export function imageExportCommand(): Command {
  const packings = Object.keys(PACKINGS);
  return new Command("export")
    .summary("copy an image to a catalogue's folder")
    .description("Copies an image to a catalogue's folder, and writes it down there.")
    .argument("<image>", "NAME, NAME:VERSION or NAME@sha256:DIGEST")
    .requiredOption("--to <folder>", "the catalogue's folder; made when it is missing")
    .addOption(new Option("--compress <how>", "the disk").choices(packings).default("none"))
    .option("--json", "print what was written as one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action(exportOne);
}

async function exportOne(reference: string, { to, compress, json }: Options): Promise<void> {
  using cancel = cancelOnSignals(
    () => tell("stopping"),
    () => process.exit(EXIT_CODES.cancelled),
  );
  const catalogue = await openCatalogue(readConfig());
  const { image, name, version } = pickImage(
    namedImages(await takeInventory(catalogue)),
    reference,
  );
  const { digest } = image;
  const folder = await exportImage(
    { store: catalogue.store, digest, to, packing: compress },
    { onProgress: tell, onBytes: tellingBytes("copying"), signal: cancel.signal },
  ).catch(explainRefusal);
  await printAnswer(
    json
      ? `${JSON.stringify({ name, version, digest, folder }, null, 2)}\n`
      : `${name}:${version} sha256:${digest} ${folder}\n`,
  );
}
