import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { type Finding, ok, problem, warning } from "./finding.ts";
import type { HostView } from "./host-view.ts";
import { TOOLS } from "./tools.ts";

/** Programs without which no machine runs. */
export async function checkRunTools(view: HostView): Promise<Finding> {
  const missing = await missingOf(TOOLS.run, view);
  return missing === undefined ? ok(names(TOOLS.run)) : problem(missing.found, missing.mend);
}

/** Programs without which no image is built; images that are built already work. */
export async function checkImageTools(view: HostView): Promise<Finding> {
  const missing = await missingOf(TOOLS.image, view);
  return missing === undefined ? ok(names(TOOLS.image)) : warning(missing.found, missing.mend);
}

/** The firmware of machines that boot as hardware does; images with a kernel beside their disk work without it. */
export async function checkFirmware({ firmware }: HostView): Promise<Finding> {
  if (firmware === undefined) return warning("no machine is made for this architecture");
  const looks = firmware.files.map((file) => access(file, constants.R_OK));
  const at = (await Promise.allSettled(looks)).findIndex(({ status }) => status === "rejected");
  const [missing] = firmware.files.slice(at < 0 ? firmware.files.length : at);
  if (missing === undefined) return ok(firmware.files.join(", "));
  return warning(
    `there is no ${missing}: no image of a distribution boots`,
    `apt-get install ${firmware.debianPackage}`,
  );
}

async function missingOf(
  tools: Readonly<Record<string, string>>,
  { programFolders }: HostView,
): Promise<{ found: string; mend: string } | undefined> {
  const checked = await Promise.all(
    Object.entries(tools).map(async ([tool, debianPackage]) => ({
      tool,
      debianPackage,
      isThere: await isProgram(tool, programFolders),
    })),
  );
  const missing = checked.filter(({ isThere }) => !isThere);
  if (missing.length === 0) return undefined;
  const packages = [...new Set(missing.map(({ debianPackage }) => debianPackage))];
  return {
    found: `not installed: ${missing.map(({ tool }) => tool).join(", ")}`,
    mend: `apt-get install ${packages.join(" ")}`,
  };
}

async function isProgram(tool: string, folders: readonly string[]): Promise<boolean> {
  const looks = folders.map((folder) => access(join(folder, tool), constants.X_OK));
  return (await Promise.allSettled(looks)).some(({ status }) => status === "fulfilled");
}

function names(tools: Readonly<Record<string, string>>): string {
  return Object.keys(tools).join(", ");
}
