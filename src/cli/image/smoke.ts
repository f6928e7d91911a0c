import { Command } from "commander";
import { EXIT_CODES } from "#cli/exit-code.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import { openHouse } from "#cli/this-host/house.ts";
import { readConfig } from "#config/config.ts";
import { printable } from "#lib/printable.ts";
import { explainUnknown } from "./explain-unknown.ts";
import { tell } from "./tell.ts";

const HELP_AFTER = `
A machine of the image has to become ready, as its readiness list says, and to run a small
job. When it does, the image's name means this version from now on. When it does not and
the name meant it, the name means again what it meant before.

Exit status: 0 it passed; 3 it failed, or this host could not try it.

Examples:
  $ testbed image smoke debian-12-uefi:20300101
`;

const MEANS = {
  switched: "its name means it now",
  unchanged: "its name means what it meant",
  "fell back": "its name means again what it meant before",
  stuck: "its name still means it, since there is no other that is good",
} as const;

/** `testbed image smoke IMAGE`. */
export function imageSmokeCommand(): Command {
  return new Command("smoke")
    .summary("try an image out in a machine, and let its name mean it")
    .description("Tries an image of the store out in a machine of its own.")
    .argument("<image>", "NAME, NAME:VERSION or NAME@sha256:DIGEST")
    .option("--json", "print it as one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action(smoke);
}

async function smoke(reference: string, { json }: { json?: boolean }): Promise<void> {
  using cancel = cancelOnSignals(
    () => tell("stopping"),
    () => process.exit(EXIT_CODES.cancelled),
  );
  await using house = await openHouse(readConfig());
  const trial = await house.images.smoke(reference, tell, cancel.signal).catch(explainUnknown);
  const { image, outcome, means } = trial;
  const { name, version, digest } = image;
  const why = "why" in outcome ? `: ${printable(outcome.why, 800)}` : "";
  await printAnswer(
    json
      ? `${JSON.stringify({ name, version, digest, ...outcome, means }, null, 2)}\n`
      : `${outcome.kind}  ${name}:${version}${why}; ${MEANS[means]}\n`,
  );
  if (outcome.kind !== "passed") process.exitCode = EXIT_CODES.broken;
}
