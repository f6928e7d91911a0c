import { Command } from "commander";
import { printAnswer } from "#cli/print-answer.ts";
import { openCatalogue } from "#cli/this-host/house.ts";
import { readConfig } from "#config/config.ts";
import { takeInventory } from "#host/images/store/inventory.ts";
import { imageFolder } from "#host/images/store/layout.ts";
import { filesOf, MANIFEST_NAME } from "#host/images/store/manifest.ts";
import { decide } from "#host/images/store/prune-rules.ts";
import { printable } from "#lib/printable.ts";
import { bytesInWords } from "#lib/words.ts";
import { imageFacts } from "./image-facts.ts";
import { namedImages, pickImage } from "./pick-image.ts";
import { DEFAULT_RULES, rulesOf } from "./prune-options.ts";

const HELP_AFTER = `
Examples:
  $ testbed image show debian-12
  $ testbed image show debian-12:20300101 --json
`;

/** `testbed image show NAME`. */
export function imageShowCommand(): Command {
  return new Command("show")
    .summary("tell all about an image")
    .description("Tells all about one image in this host's store.")
    .argument("<image>", "NAME, NAME:VERSION or NAME@sha256:DIGEST")
    .option("--json", "print it as one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action(async (reference: string, { json = false }: { json?: boolean }) => {
      const place = await openCatalogue(readConfig());
      const images = await takeInventory(place);
      const picked = pickImage(namedImages(images), reference);
      const { image } = picked;
      const folder = imageFolder(place.store, image.digest);
      const rules = rulesOf(DEFAULT_RULES, namedImages(images));
      const decision = decide(images, rules).find((one) => one.image === image);
      const pruning = {
        goes: decision?.goes ?? false,
        why: decision?.why ?? "",
      };
      const files = [
        MANIFEST_NAME,
        ...(image.manifest === undefined ? [] : filesOf(image.manifest).map(({ name }) => name)),
      ].map((name) => `${folder}/${name}`);
      const facts = { ...imageFacts(picked), files, pruning };
      const { packages = {} } = image.manifest ?? {};
      await printAnswer(
        json
          ? `${JSON.stringify({ ...facts, packages }, null, 2)}\n`
          : inWords(facts, Object.keys(packages).length),
      );
    });
}

type Facts = ReturnType<typeof imageFacts> & {
  readonly files: readonly string[];
  readonly pruning: { readonly goes: boolean; readonly why: string };
};

function inWords(facts: Facts, packages: number): string {
  const { origin, smoke, pruning, readiness, files } = facts;
  const lines: readonly (readonly [string, string | undefined])[] = [
    ["image", `${facts.name}:${facts.version}`],
    ["digest", `sha256:${facts.digest}`],
    ["means", MEANS[facts.means]],
    ["damaged", facts.damaged],
    ["boots", facts.boot && `${facts.boot}, seed ${facts.seed}, ${facts.architecture}`],
    ["login", facts.login],
    ["disk", facts.format && `${facts.format}, ${facts.virtualMiB} MiB`],
    ["memory", facts.boot && `at least ${facts.memoryMiBMin} MiB`],
    [
      "ready",
      readiness &&
        `console ${readiness.consoleSeconds} s, SSH ${readiness.sshSeconds} s, settled ${readiness.settledSeconds} s`,
    ],
    ["packages", packages === 0 ? undefined : `${packages}`],
    ["takes", bytesInWords(facts.bytes)],
    ["from", origin && `${origin.kind} ${printable(origin.by, 300)}, ${origin.at}`],
    [
      "smoke boot",
      smoke && `${smoke.outcome} ${smoke.at} (${smoke.acceleration})${because(smoke.why)}`,
    ],
    ["came", facts.arrived],
    ["used", facts.used],
    ["in use by", facts.inUseBy.length === 0 ? undefined : facts.inUseBy.join(", ")],
    ["prune", `${pruning.goes ? "goes" : "stays"}: ${pruning.why}`],
    ...files.map((path, at) => [at === 0 ? "files" : "", path] as const),
  ];
  return lines
    .filter(([, says]) => says !== undefined)
    .map(([what, says]) => `${what.padEnd(12)}${says}\n`)
    .join("");
}

const MEANS = {
  current: "what the bare name means now",
  previous: "what the bare name meant before, kept to fall back to",
  other: "has to be named by version or digest",
} as const;

function because(why: string | undefined): string {
  return why === undefined ? "" : `: ${printable(why, 300)}`;
}
