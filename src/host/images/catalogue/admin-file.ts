import { join } from "node:path";
import type { Static } from "typebox";
import { duration, outOfRange, parseQuantity } from "#job/quantity.ts";
import { suggestUnit } from "#job/units.ts";
import type { FileKind } from "#lib/file-kind.ts";
import { dotted, inOrder, type Problem, problemOf } from "#lib/file-problem.ts";
import { readFileText } from "#lib/file-text.ts";
import { compileSchema, type Violation } from "#lib/validate.ts";
import { nearestPlace, parseYamlTree } from "#lib/yaml-tree.ts";
import {
  catalogueSchema,
  IMAGE_KEYS,
  LISTS,
  RELATIVE_PATTERN,
  RELATIVE_SAYS,
  VERSION_KEYS,
  VERSION_REQUIRED,
} from "./document-schema.ts";
import { CatalogueRefused } from "./refused.ts";

/**
 * `catalogue.yaml`, from which an admin publishes: the document without what can be computed. Files are paths below its
 * folder.
 */

/** What it is called in its folder. */
const ADMIN_FILE_NAME = "catalogue.yaml";

const { disk } =
  catalogueSchema.properties.images.items.properties.versions.items.properties.files.properties;

const file = {
  type: "string",
  pattern: RELATIVE_PATTERN,
  patternErrorMessage: RELATIVE_SAYS,
} as const;

const bootFile = {
  type: "object",
  additionalProperties: false,
  required: ["file"],
  properties: { file },
} as const;

const SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["name", "expires", "images"],
  properties: {
    name: catalogueSchema.properties.name,
    expires: { ...duration, quantity: "duration" },
    images: {
      ...LISTS.images,
      items: {
        type: "object",
        additionalProperties: false,
        required: ["name", "summary", "versions"],
        properties: {
          ...IMAGE_KEYS,
          versions: {
            ...LISTS.versions,
            items: {
              type: "object",
              additionalProperties: false,
              required: VERSION_REQUIRED,
              properties: {
                ...VERSION_KEYS,
                files: {
                  type: "object",
                  additionalProperties: false,
                  required: ["disk"],
                  properties: {
                    disk: {
                      type: "object",
                      additionalProperties: false,
                      required: ["file", "format", "virtualMiB"],
                      properties: {
                        file,
                        compression: disk.properties.compression,
                        format: disk.properties.format,
                        virtualMiB: disk.properties.virtualMiB,
                        unpacked: disk.properties.unpacked,
                      },
                    },
                    kernel: bootFile,
                    initrd: bootFile,
                  },
                },
              },
            },
          },
        },
      },
    },
  },
} as const;

type AdminFile = Static<typeof SCHEMA>;
export type AdminVersion = AdminFile["images"][number]["versions"][number];

/** A catalogue as its admin wrote it. */
export type AdminCatalogue = Omit<AdminFile, "expires"> & { readonly lifetimeSeconds: number };

const LIFETIME_SECONDS = { min: 3600, max: 3650 * 86_400 } as const;

const ADMIN_FILE: FileKind = {
  name: "catalogue file",
  bytesMax: 1024 * 1024,
  lexemesMax: 100_000,
  empty: "is empty; a catalogue file has a name, a lifetime (expires) and images",
  refusal: (path, problems, more) => new CatalogueRefused(inOrder(path, problems).message, more),
};

const violations = compileSchema(SCHEMA);

/** The catalogue file of a folder. Throws `CatalogueRefused` with everything that is wrong, each with its line. */
export async function readAdminFile(folder: string): Promise<AdminCatalogue> {
  const path = join(folder, ADMIN_FILE_NAME);
  const tree = parseYamlTree(ADMIN_FILE, path, await readFileText(ADMIN_FILE, path));
  const problems: Problem[] = [...tree.problems];
  for (const wrong of violations(tree.value)) {
    const of = wrong.kind === "bad-value" ? "value" : "key";
    problems.push(problemOf(wrong, nearestPlace(tree, wrong.path, of), meant(wrong, tree.value)));
  }
  const { expires, ...catalogue } = tree.value as AdminFile;
  for (const finding of outOfRange("duration", ["expires"], expires, LIFETIME_SECONDS)) {
    const place = nearestPlace(tree, finding.path, "value");
    problems.push({ place, path: dotted(finding.path), says: finding.says });
  }
  if (problems.length > 0) throw ADMIN_FILE.refusal(path, problems);
  return { ...catalogue, lifetimeSeconds: parseQuantity("duration", expires) ?? 0 };
}

/** `30d` for who wrote `30 days`. */
function meant({ path, kind }: Violation, value: unknown): string | undefined {
  const { expires } = (value ?? {}) as { expires?: unknown };
  const isLifetime = path.length === 1 && path[0] === "expires" && kind === "bad-value";
  return isLifetime ? suggestUnit(String(expires), "duration") : undefined;
}
