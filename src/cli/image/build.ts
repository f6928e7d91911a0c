import { Command } from "commander";
import { EXIT_CODES } from "#cli/exit-code.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import { openHouse } from "#cli/this-host/house.ts";
import { readConfig } from "#config/config.ts";
import type { Freshness } from "#host/images/work.ts";
import { explainUnknown } from "./explain-unknown.ts";
import { tell } from "./tell.ts";

const HELP_AFTER = `
Builds images from their recipes and Debian packages, as root, without loop devices and
mounts. An image is built when there is none, when its recipe changed, or when Debian has
newer packages. 'testbed run' builds a missing image by itself. An image whose recipe has
steps is built in a machine of the image that it is derived from.

Examples:
  $ testbed image build micro debian-12
  $ testbed image build --force debian-12
`;

type Options = { readonly force?: boolean; readonly json?: boolean };

/** `testbed image build`. */
export function imageBuildCommand(): Command {
  return new Command("build")
    .summary("build images that are missing or out of date")
    .description("Builds images that are missing or out of date.")
    .argument("<names...>", "images of the catalogue")
    .option("--force", "build them in any case")
    .option("--json", "print the images as one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action((names: string[], options: Options) => buildImages(names, options));
}

async function buildImages(names: readonly string[], { force, json }: Options): Promise<void> {
  using cancel = cancelOnSignals(
    () => tell("stopping"),
    () => process.exit(EXIT_CODES.cancelled),
  );
  await using house = await openHouse(readConfig());
  const freshness: Freshness = force ? "always" : "packages";
  const images = [];
  for (const name of names) {
    const progress = { onProgress: tell, signal: cancel.signal };
    images.push(await house.images.build(name, freshness, progress).catch(explainUnknown));
  }
  await printAnswer(
    json
      ? `${JSON.stringify({ images }, null, 2)}\n`
      : images.map(({ name, version, digest }) => `${name}:${version} sha256:${digest}\n`).join(""),
  );
}
