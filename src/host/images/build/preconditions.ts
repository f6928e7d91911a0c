import { readFile } from "node:fs/promises";
import { Fault } from "#job/fault.ts";
import { isInstalled } from "#lib/programs.ts";
import type { Recipe } from "./recipe.ts";

const ARCHITECTURES: Record<string, string> = { x64: "x86_64", arm64: "aarch64" };

/**
 * Everything that a recipe needs of this host, checked before anything is downloaded. Throws host-tool-missing with the
 * command that mends it, and image-build-failed when this host's release or architecture does not fit.
 */
export async function checkPreconditions(recipe: Recipe): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Fault(
      "host-tool-missing",
      `image ${recipe.name} has to be built as root. Run: sudo testbed image build ${recipe.name}`,
    );
  const missing = new Set<string>();
  for (const [program, debianPackage] of Object.entries(recipe.tools ?? toolsFor(recipe)))
    if (!(await isInstalled(program))) missing.add(debianPackage);
  if (missing.size > 0)
    throw new Fault(
      "host-tool-missing",
      `building ${recipe.name} needs programs that are not installed. Run: apt-get install ${[...missing].join(" ")}`,
      { evidence: { packages: [...missing] } },
    );
  const here = ARCHITECTURES[process.arch];
  if (recipe.architecture !== undefined && recipe.architecture !== here)
    throw new Fault(
      "image-build-failed",
      `image ${recipe.name} is for ${recipe.architecture}, and this host is ${here ?? process.arch}`,
      { stage: "checks" },
    );
  await checkRelease(recipe);
}

/** What testbed itself runs for a recipe with steps. */
function toolsFor({ steps, debs }: Recipe): Readonly<Record<string, string>> {
  if (steps === undefined) return {};
  return { "qemu-img": "qemu-utils", ...(debs && { "apt-get": "apt" }) };
}

async function checkRelease({ name, releases }: Recipe): Promise<void> {
  if (releases === undefined) return;
  const text = await readFile("/etc/os-release", "utf8").catch(() => "");
  const found = /^VERSION_CODENAME=(.*)$/m.exec(text)?.[1]?.replaceAll('"', "") ?? "unknown";
  if (!releases.includes(found))
    throw new Fault(
      "image-build-failed",
      `image ${name} is built from packages of Debian ${releases.join(" or ")}, and this host's are of '${found}'`,
      { stage: "checks" },
    );
}
