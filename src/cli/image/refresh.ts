import { Command } from "commander";
import { EXIT_CODES } from "#cli/exit-code.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import { openHouse } from "#cli/this-host/house.ts";
import { readConfig } from "#config/config.ts";
import type { RefreshReport } from "#host/images/follow/refresh.ts";
import { printable } from "#lib/printable.ts";
import { tell, tellingBytes } from "./tell.ts";

const HELP_AFTER = `
Asks each catalogue of the file of images (TESTBED_IMAGES) for its document, and takes one
that is signed by a trusted key, in time, and not older than before. Then for each image
that is here, or named: the newest version is fetched, inspected, and tried out in a
machine of its own; only then its name means it. One that fails is not tried again, and
the name means what it meant before.

The daemon does so by itself, as refresh.schedule says, and prunes then.

Exit status: 0 all is well; 3 a catalogue was not to be had or not to be trusted, or an
image has no version that is good here.

Examples:
  $ testbed image refresh
  $ testbed image refresh debian-12-uefi --json
`;

/** `testbed image refresh [NAMES...]`. */
export function imageRefreshCommand(): Command {
  return new Command("refresh")
    .summary("follow the catalogues: fetch, inspect, try out, switch")
    .description("Brings images up to date with the catalogues that this host follows.")
    .argument("[names...]", "images beside those that are here and those in the file of images")
    .option("--json", "print it as one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action(refresh);
}

async function refresh(names: readonly string[], { json }: { json?: boolean }): Promise<void> {
  using cancel = cancelOnSignals(
    () => tell("stopping"),
    () => process.exit(EXIT_CODES.cancelled),
  );
  const config = readConfig();
  await using house = await openHouse(config);
  using bytes = tellingBytes("fetching", config);
  const progress = { onProgress: tell, onBytes: bytes.onBytes };
  const report = await house.images.refresh(names, progress, cancel.signal);
  await printAnswer(json ? `${JSON.stringify(report, null, 2)}\n` : inWords(report));
  if (!isWell(report)) process.exitCode = EXIT_CODES.broken;
}

function isWell({ catalogues, images }: RefreshReport): boolean {
  return (
    catalogues.every(({ outcome }) => outcome === "new" || outcome === "unchanged") &&
    images.every(({ outcome }) => outcome === "switched" || outcome === "unchanged")
  );
}

function inWords({ catalogues, images, troubles }: RefreshReport): string {
  const lines = [
    ...catalogues.map((one) => {
      const says = "why" in one ? one.why : `${one.name}, version ${one.version}${signed(one)}`;
      return `${one.outcome.padEnd(12)}${printable(one.address, 200)}: ${printable(says, 500)}`;
    }),
    ...images.map(
      ({ name, outcome, says }) => `${outcome.padEnd(12)}${name} ${printable(says, 500)}`,
    ),
    ...troubles.map((trouble) => `${"trouble".padEnd(12)}${printable(trouble, 500)}`),
  ];
  if (lines.length === 0)
    return "This host follows no catalogue: see 'testbed image refresh --help'.\n";
  return lines.map((line) => `${line}\n`).join("");
}

function signed({ signedBy }: { readonly signedBy: string | undefined }): string {
  return signedBy === undefined ? ", NOT SIGNED by a trusted key" : `, signed by ${signedBy}`;
}
