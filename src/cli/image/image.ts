import { Command } from "commander";
import { imageBuildCommand } from "./build.ts";
import { imageSignCommand } from "./sign.ts";

/** `testbed image`. */
export function imageCommand(): Command {
  return new Command("image")
    .summary("build images, sign catalogues")
    .description("Images.")
    .addCommand(imageBuildCommand())
    .addCommand(imageSignCommand());
}
