import { type Command, InvalidArgumentError, Option } from "commander";
import { type Override, parseOverride } from "#job/job-file-overrides.ts";

/** What the command line may change in a job file. */
export type OverrideOptions = { readonly image?: Override; readonly set: readonly Override[] };

/** Adds `--image` and `--set`. */
export function withOverrideOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--image <image>", "boot this image, whatever the job file says").argParser(image),
    )
    .addOption(
      new Option("--set <key=value>", "change the job file; may be given more than once")
        .argParser(override)
        .default([], "none"),
    );
}

/** All of them, in the order in which they apply. */
export function overridesOf({ image, set }: OverrideOptions): readonly Override[] {
  return [...(image === undefined ? [] : [image]), ...set];
}

function image(value: string): Override {
  return { option: `--image ${value}`, path: ["image"], value };
}

function override(assignment: string, before: readonly Override[]): readonly Override[] {
  const parsed = parseOverride(assignment);
  if (parsed === undefined) {
    throw new InvalidArgumentError("Write key=value, such as timeout=5m or env.NAME=text.");
  }
  return [...before, parsed];
}
