import { Command, Option } from "commander";
import { EXIT_CODES } from "#cli/exit-code.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import { openCatalogue } from "#cli/this-host/house.ts";
import { readConfig } from "#config/config.ts";
import { exportImage } from "#host/images/exchange/export-image.ts";
import { PACKINGS, type Packing } from "#host/images/exchange/pack-file.ts";
import { takeInventory } from "#host/images/store/inventory.ts";
import { NAME_PATTERN, VERSION_PATTERN } from "#host/images/store/manifest.ts";
import { explainRefusal, matching } from "./import.ts";
import { namedImages, pickImage } from "./pick-image.ts";
import { tell, tellingBytes } from "./tell.ts";

const HELP_AFTER = `
Writes FOLDER/NAME/VERSION/ and adds the image to FOLDER/catalogue.yaml, of which
'testbed image sign FOLDER' makes a catalogue for other hosts. What else that file
says stays as it is. A host means by a name what its own recipes make of it: what is built
from one here is published under another name (--as).

Examples:
  $ testbed image export debian-12 --to /srv/catalogue --compress zstd
  $ testbed image export micro --to /srv/catalogue --as lab-micro --version 1
  $ testbed image import /srv/catalogue/lab-micro/1            # of one that is not compressed
`;

type Options = {
  readonly to: string;
  readonly as?: string;
  readonly version?: string;
  readonly compress: Packing;
  readonly json?: boolean;
};

/** `testbed image export IMAGE --to FOLDER`. */
export function imageExportCommand(): Command {
  const packings = Object.keys(PACKINGS);
  return new Command("export")
    .summary("copy an image to a catalogue's folder")
    .description("Copies an image to a catalogue's folder, and writes it down there.")
    .argument("<image>", "NAME, NAME:VERSION or NAME@sha256:DIGEST")
    .requiredOption("--to <folder>", "the catalogue's folder; made when it is missing")
    .option("--as <name>", "what it is called there (default: its name here)")
    .option("--version <version>", "its version there (default: its version here)")
    .addOption(new Option("--compress <how>", "the disk").choices(packings).default("none"))
    .option("--json", "print what was written as one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action(exportOne);
}

async function exportOne(reference: string, options: Options): Promise<void> {
  const { to, compress: packing, json } = options;
  const as = calledThere(options);
  using cancel = cancelOnSignals(
    () => tell("stopping"),
    () => process.exit(EXIT_CODES.cancelled),
  );
  const config = readConfig();
  const catalogue = await openCatalogue(config);
  const { image } = pickImage(namedImages(await takeInventory(catalogue)), reference);
  const { digest } = image;
  using bytes = tellingBytes("copying", config);
  const exported = await exportImage(
    { store: catalogue.store, digest, to, packing, ...(as && { as }) },
    { onProgress: tell, onBytes: bytes.onBytes, signal: cancel.signal },
  ).catch(explainRefusal);
  const { name, version, folder } = exported;
  await printAnswer(
    json
      ? `${JSON.stringify(exported, null, 2)}\n`
      : `${name}:${version} sha256:${exported.digest} ${folder}\n`,
  );
}

function calledThere({ as: name, version }: Options) {
  if (name === undefined && version === undefined) return undefined;
  return {
    ...(name !== undefined && { name: matching("--as", name, NAME_PATTERN) }),
    ...(version !== undefined && { version: matching("--version", version, VERSION_PATTERN) }),
  };
}
