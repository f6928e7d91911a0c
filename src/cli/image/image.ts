import { Command } from "commander";
import { imageBuildCommand } from "./build.ts";

/** `testbed image`. */
export function imageCommand(): Command {
  return new Command("image")
    .summary("build images")
    .description("Images.")
    .addCommand(imageBuildCommand());
}
