import type { Static } from "typebox";
import {
  DIGEST_PATTERN,
  NAME_PATTERN,
  SETTINGS,
  VERSION_PATTERN,
} from "#host/images/store/manifest.ts";

/**
 * A catalogue document as JSON Schema 2020-12: at once the published schema (`testbed schema catalogue`), what ajv checks,
 * and the source of the types below. Plain data, as with the job file. What JSON Schema cannot say is in `document.ts`.
 */

/** The largest number that every JSON reader reads alike (RFC 8259, section 6). */
const WHOLE_MAX = Number.MAX_SAFE_INTEGER;
const FILE_BYTES_MAX = 2 ** 40;

const name = {
  type: "string",
  pattern: NAME_PATTERN,
  patternErrorMessage: "must be a name: up to 63 of a-z, 0-9 and '-', not beginning with '-'",
} as const;

const version = {
  type: "string",
  pattern: VERSION_PATTERN,
  patternErrorMessage:
    "must be a version: up to 32 of A-Z, a-z, 0-9, '.', '_' and '-'; in YAML numbers need quotes",
} as const;

const digest = {
  type: "string",
  pattern: DIGEST_PATTERN,
  patternErrorMessage: "must be a SHA-256: 64 hex digits in lower case",
} as const;

const VISIBLE = "[^\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}]";

/** Text for people, on one line. */
const line = (charactersMax: number) =>
  ({
    type: "string",
    pattern: `^${VISIBLE}{1,${charactersMax}}$`,
    patternErrorMessage: `must be one line of 1 to ${charactersMax} visible characters`,
  }) as const;

/** Parts of a path that need no escaping and mean nothing else: no `..`, no hidden file, no scheme. */
const SEGMENT = "[A-Za-z0-9_][A-Za-z0-9._~+@=-]{0,127}";
/** A path below a folder. */
export const RELATIVE_PATTERN = `^${SEGMENT}(/${SEGMENT}){0,15}$`;
export const RELATIVE_SAYS =
  "must be a relative path of A-Z, a-z, 0-9, '.', '_', '~', '+', '@', '=' and '-', with no part that begins with a dot";

const url = {
  description: "Where the file is: a path below the document's folder, or an https address.",
  type: "string",
  maxLength: 2000,
  pattern: `(${RELATIVE_PATTERN})|(^https://[!-\\[\\]-~]+$)`,
  patternErrorMessage: `must be an https address, or a path below the document: it ${RELATIVE_SAYS}`,
} as const;

const content = {
  bytes: {
    description: "Length in bytes.",
    type: "integer",
    minimum: 1,
    maximum: FILE_BYTES_MAX,
  },
  sha256: { description: "SHA-256 of these bytes.", ...digest },
} as const;

const bootFile = {
  type: "object",
  additionalProperties: false,
  required: ["url", "bytes", "sha256"],
  properties: { url, ...content },
} as const;

const disk = {
  description: "The disk, as it is fetched.",
  type: "object",
  additionalProperties: false,
  required: ["url", "compression", "bytes", "sha256", "format", "virtualMiB"],
  properties: {
    url,
    compression: { enum: ["none", "gzip", "xz", "zstd"] },
    ...content,
    format: { enum: ["qcow2", "raw"] },
    virtualMiB: { type: "integer", minimum: 1, maximum: 1024 * 1024 },
    unpacked: {
      description: "What comes out of a compressed file; there is none of another.",
      type: "object",
      additionalProperties: false,
      required: ["bytes", "sha256"],
      properties: content,
    },
  },
} as const;

/** The parts of a version that an admin writes, and the document repeats. */
export const VERSION_KEYS = {
  version,
  ...SETTINGS,
  packages: {
    description: "Debian packages inside, with their versions.",
    type: "object",
    maxProperties: 5000,
    propertyNames: { type: "string", pattern: "^[a-z0-9][a-z0-9+.-]{0,127}$" },
    additionalProperties: line(128),
  },
  withdrawn: { description: "Why nobody shall use it any more.", ...line(200) },
} as const;

/** The parts of an image that an admin writes, and the document repeats. */
export const IMAGE_KEYS = {
  name,
  summary: line(200),
  licence: line(200),
  homepage: {
    type: "string",
    maxLength: 500,
    pattern: "^https?://[!-~]+$",
    patternErrorMessage: "must be a web address",
  },
  labels: {
    type: "object",
    maxProperties: 50,
    propertyNames: { type: "string", pattern: "^[a-z0-9][a-z0-9._/-]{0,62}$" },
    additionalProperties: line(200),
  },
  aliases: {
    description: "Other names that mean this image.",
    type: "array",
    maxItems: 20,
    items: name,
  },
  deprecated: {
    description: "Since when it should not be used, and what instead.",
    type: "object",
    additionalProperties: false,
    required: ["on"],
    properties: {
      on: {
        type: "string",
        pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        patternErrorMessage: "must be a date such as 2030-12-31",
      },
      use: name,
    },
  },
} as const;

export const LISTS = {
  images: { type: "array", maxItems: 1000 },
  versions: { type: "array", minItems: 1, maxItems: 1000 },
} as const;

export const VERSION_REQUIRED = [
  "version",
  "architecture",
  "boot",
  "seed",
  "login",
  "memoryMiBMin",
  "readiness",
  "files",
] as const;

const catalogueVersion = {
  type: "object",
  additionalProperties: false,
  required: [...VERSION_REQUIRED, "digest"],
  properties: {
    ...VERSION_KEYS,
    digest: { description: "SHA-256 of the manifest that a host writes.", ...digest },
    files: {
      type: "object",
      additionalProperties: false,
      required: ["disk"],
      properties: { disk, kernel: bootFile, initrd: bootFile },
    },
  },
} as const;

export const catalogueSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "testbed catalogue of images",
  description: "catalogue.json, which is signed with minisign as catalogue.json.minisig.",
  type: "object",
  additionalProperties: false,
  required: ["schema", "name", "version", "expires", "images"],
  properties: {
    schema: { enum: [1] },
    name,
    version: {
      description: "Of the document. Each one that is published has a higher one.",
      type: "integer",
      minimum: 1,
      maximum: WHOLE_MAX,
    },
    expires: {
      description: "After this moment hosts take it for a replay.",
      type: "string",
      pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
      patternErrorMessage: "must be a moment in UTC such as 2030-12-31T12:00:00Z",
    },
    images: {
      ...LISTS.images,
      items: {
        type: "object",
        additionalProperties: false,
        required: ["name", "summary", "versions"],
        properties: {
          ...IMAGE_KEYS,
          versions: {
            description: "The newest first.",
            ...LISTS.versions,
            items: catalogueVersion,
          },
        },
      },
    },
  },
} as const;

/** A document that was read; see `readDocument` for what holds of it. */
export type CatalogueDocument = Static<typeof catalogueSchema>;
export type CatalogueImage = CatalogueDocument["images"][number];
export type CatalogueVersion = CatalogueImage["versions"][number];
