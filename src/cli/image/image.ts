import { Command } from "commander";
import { imageBuildCommand } from "./build.ts";
import { imageExportCommand } from "./export.ts";
import { imageFetchCommand } from "./fetch.ts";
import { imageImportCommand } from "./import.ts";
import { imageListCommand } from "./list.ts";
import { imagePruneCommand } from "./prune.ts";
import { imageRefreshCommand } from "./refresh.ts";
import { imageShowCommand } from "./show.ts";
import { imageSignCommand } from "./sign.ts";
import { imageSmokeCommand } from "./smoke.ts";
import { imageVerifyCommand } from "./verify.ts";

/** `testbed image`. */
export function imageCommand(): Command {
  return new Command("image")
    .summary("build, fetch, check, sign and prune images")
    .description("Images.")
    .addCommand(imageListCommand())
    .addCommand(imageShowCommand())
    .addCommand(imageBuildCommand())
    .addCommand(imageFetchCommand())
    .addCommand(imageSmokeCommand())
    .addCommand(imageRefreshCommand())
    .addCommand(imageImportCommand())
    .addCommand(imageExportCommand())
    .addCommand(imageVerifyCommand())
    .addCommand(imagePruneCommand())
    .addCommand(imageSignCommand());
}
