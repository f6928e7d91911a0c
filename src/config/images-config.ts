import type { Finding } from "#job/quantity.ts";
import {
  ABSOLUTE_PATH,
  type ConfigFileSchema,
  type ConfigValue,
  DURATION,
  SIZE,
} from "./config-schema.ts";

const imageName = {
  type: "string",
  pattern: "^[a-z0-9][a-z0-9-]{0,62}$",
  patternErrorMessage: "must be an image's name: 1 to 63 of a-z, 0-9 and -",
} as const;

/** Where signed catalogues of images come from, and whose signature counts. */
const CATALOGUES = {
  type: "array",
  maxItems: 16,
  default: [],
  description:
    "Signed catalogues of images, at most 16; the first that knows a name wins, recipes of this host before all.",
  items: {
    type: "object",
    additionalProperties: false,
    description: "A catalogue: url or path, and keys.",
    properties: {
      url: {
        type: "string",
        pattern: "^https://[^\\s?#@]{1,2000}$",
        patternErrorMessage: "must be https://HOST/…/catalogue.json, without a question or a user",
        description: "Its catalogue.json, over HTTPS; no default.",
      },
      path: {
        ...ABSOLUTE_PATH,
        description: "Its folder on this host, instead of a url; no default.",
      },
      keys: {
        type: "array",
        maxItems: 16,
        items: {
          type: "string",
          pattern: "^RW[A-Za-z0-9+/]{54}$",
          patternErrorMessage: "must be a public key of minisign's, 56 characters from RW on",
        },
        default: [],
        description: "Public keys of minisign; a signature by one of them counts.",
      },
      allowUnsigned: {
        type: "boolean",
        default: false,
        description: "Believe it without a signature: whoever changes it changes what jobs run in.",
      },
      hosts: {
        type: "array",
        maxItems: 16,
        items: {
          type: "string",
          pattern: "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$",
          patternErrorMessage: "must be a host's name in lower case, with :PORT unless it is 443",
        },
        default: [],
        description: "Hosts beside its own that images and redirects may lead to, at most 16.",
      },
      allowAddresses: {
        type: "array",
        maxItems: 16,
        items: {
          type: "string",
          pattern: "^[0-9a-f.:]{2,45}(/[0-9]{1,3})?$",
          patternErrorMessage: "must be an IP address or a range, such as 127.0.0.0/8 or ::1",
        },
        default: [],
        description:
          "Addresses of this host, loopback or link-local that may be dialled all the same, at most 16.",
      },
      ca: {
        ...ABSOLUTE_PATH,
        description: "Certificates to trust it by instead of the system's, PEM; no default.",
      },
    },
  },
} as const;

/**
 * The images of a host (`config/images.yaml`, where each key is explained at length), as JSON Schema 2020-12: what its daemon and
 * the commands there both read. What it cannot say is in `checkImagesConfig`.
 */
export const imagesConfigSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "urn:testbed:images-config",
  title: "testbed images configuration",
  description: "Which images a host follows. YAML or JSON, at most 256 KiB; may be empty.",
  type: "object",
  additionalProperties: false,
  properties: {
    catalogues: CATALOGUES,
    limits: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "What no image may exceed, whatever its catalogue says.",
      properties: {
        download: {
          ...SIZE,
          least: "1MiB",
          most: "10TiB",
          default: "20GiB",
          description: "One file as it is sent, 1MiB to 10TiB.",
        },
        disk: {
          ...SIZE,
          least: "1MiB",
          most: "1TiB",
          default: "128GiB",
          description: "A disk as its machine sees it, 1MiB to 1TiB.",
        },
      },
    },
    refresh: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "When the daemon follows the catalogues, and for which images.",
      properties: {
        schedule: {
          type: "string",
          pattern: "^[A-Za-z0-9*,/#?@ -]{1,100}$",
          patternErrorMessage: "must be a cron expression, such as '37 2 * * *', or off",
          default: "37 2 * * *",
          description: "A cron expression; off: only by hand.",
        },
        timeZone: {
          type: "string",
          pattern: "^[A-Za-z0-9_+/-]{1,60}$",
          patternErrorMessage: "must be a time zone's name, such as Europe/Zurich or UTC",
          description: "Of the schedule; default: this host's.",
        },
        images: {
          type: "array",
          maxItems: 100,
          uniqueItems: true,
          items: imageName,
          default: [],
          description: "Fetched before anybody asks, beside those that are here, at most 100.",
        },
      },
    },
    prune: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "Which images leave after a refresh; never one that is needed.",
      properties: {
        age: {
          ...DURATION,
          least: "1h",
          most: "3650d",
          default: "30d",
          description: "Not used for so long, 1h to 3650d.",
        },
        size: {
          ...SIZE,
          least: "1MiB",
          most: "100TiB",
          default: "100GiB",
          description:
            "Most that all take together, 1MiB to 100TiB; beyond, the least used leaves.",
        },
        versions: {
          type: "integer",
          minimum: 1,
          maximum: 100,
          default: 2,
          description: "The newest of each name that no age takes, 1 to 100.",
        },
      },
    },
  },
} as const satisfies ConfigFileSchema;

export type ImagesConfig = ConfigValue<typeof imagesConfigSchema>;

/** What is wrong with keys that are each right by the schema. */
export function checkImagesConfig({ catalogues }: ImagesConfig): readonly Finding[] {
  const places = catalogues.map(({ url, path }) => url ?? path);
  return catalogues.flatMap(({ url, path, keys, allowUnsigned }, at) => {
    const wrong = (is: boolean, says: string) =>
      is ? [{ path: ["catalogues", String(at)], says }] : [];
    return [
      ...wrong((url === undefined) === (path === undefined), "needs either a url or a path"),
      ...wrong(
        keys.length === 0 && !allowUnsigned,
        "needs keys to check its signature by; 'allowUnsigned: true' does without",
      ),
      ...wrong(places.indexOf(places[at]) < at, "is there twice"),
    ];
  });
}
