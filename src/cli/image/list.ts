import { Command } from "commander";
import { ageOf } from "#cli/client/ages.ts";
import { type Column, tableOf, terminalWidth } from "#cli/client/columns.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { openCatalogue } from "#cli/this-host/house.ts";
import { readConfig } from "#config/config.ts";
import { absent, readOffers } from "#host/images/follow/offers.ts";
import { offeredImages } from "#host/images/offered-images.ts";
import { takeInventory } from "#host/images/store/inventory.ts";
import { printable } from "#lib/printable.ts";
import { bytesInWords } from "#lib/words.ts";
import { imageFacts } from "./image-facts.ts";
import { type NamedImage, namedImages, usersOf } from "./pick-image.ts";
import { tell } from "./tell.ts";

const HELP_AFTER = `
MEANS   current: what the bare name means; previous: what it meant before, kept to fall
        back to; other: has to be named by version or digest; not built: a recipe that
        'testbed image build' or the first job makes an image of; offered: by a catalogue
        that this host follows, and brought here by 'testbed image refresh NAME'

Examples:
  $ testbed image list
  $ testbed image list --json | jq -r '.images[] | select(.means == "current") | .digest'
`;

/** `testbed image list`. */
export function imageListCommand(): Command {
  return new Command("list")
    .summary("list the images of this host")
    .description("Lists the images in this host's store, and those that it could build or fetch.")
    .option("--json", "print them as one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action(async ({ json = false }: { json?: boolean }) => {
      const catalogue = await openCatalogue(readConfig());
      const images = namedImages(await takeInventory(catalogue));
      const toBuild = (await offeredImages(catalogue)).filter(({ digest }) => digest === undefined);
      const offers = await readOffers(catalogue.store, catalogue.sources ?? []);
      for (const trouble of offers.troubles) tell(printable(trouble, 500));
      const elsewhere = [
        ...toBuild.map(({ name, version }) => ({ name, version, means: "not built" as const })),
        ...absent(offers, new Set(images.map(({ image }) => image.digest))).map((one) => ({
          ...one,
          means: "offered" as const,
        })),
      ];
      if (json) {
        const all = [...images.map(imageFacts), ...elsewhere];
        return await printAnswer(`${JSON.stringify({ images: all }, null, 2)}\n`);
      }
      const rows = [...images, ...elsewhere];
      await printAnswer(
        rows.length === 0 ? "There are no images.\n" : tableOf(COLUMNS, rows, terminalWidth()),
      );
    });
}

/** What is not here: a recipe's, or a catalogue's. */
type Elsewhere = {
  readonly name: string;
  readonly version: string;
  readonly means: "not built" | "offered";
  readonly digest?: string;
};
type Row = NamedImage | Elsewhere;

const COLUMNS: readonly Column<Row>[] = [
  { head: "NAME", cell: ({ name }) => name },
  { head: "VERSION", cell: ({ version }) => version },
  { head: "MEANS", cell: ({ means }) => means },
  { head: "DIGEST", cell: (row) => digestOf(row)?.slice(0, 12) ?? "-" },
  { head: "SIZE", cell: of(({ image }) => bytesInWords(image.bytes)), isRight: true },
  { head: "BOOT", cell: of(({ image }) => image.manifest?.boot.kind ?? "damaged") },
  { head: "FROM", cell: of(({ image }) => image.origin?.kind ?? "-") },
  { head: "SMOKE", cell: of(({ image }) => image.smoke?.outcome ?? "-") },
  { head: "USED", cell: of(({ image }) => ageOf(new Date(image.usedMs).toISOString())) },
  { head: "HELD BY", cell: of(({ image }) => usersOf(image).join(", ") || "-"), least: 7 },
];

function digestOf(row: Row): string | undefined {
  return "image" in row ? row.image.digest : row.digest;
}

function of(cell: (row: NamedImage) => string): (row: Row) => string {
  return (row) => ("image" in row ? cell(row) : "-");
}
