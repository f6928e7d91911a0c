import { duration, type QuantityKind, size } from "#job/quantity.ts";

/**
 * What a configuration file's schema is made of: the part of JSON Schema 2020-12 that is listed here, and four keywords
 * of our own. `quantity` says that a text is a size or a duration, `least` and `most` (texts in its units) bound it;
 * `secretPlace` says that a text leads to a secret, and is not quoted when it is wrong.
 *
 * A key with a `default` always has a value; a section has `default: {}`, so that its own defaults apply. Every key has a
 * `description` with its unit. A test holds `config/*.yaml` against these.
 */
export type ConfigSchema = {
  readonly type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly patternErrorMessage?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly items?: ConfigSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, ConfigSchema>>;
  readonly propertyNames?: ConfigSchema;
  readonly maxProperties?: number;
  readonly additionalProperties?: false | ConfigSchema;
  readonly quantity?: QuantityKind;
  readonly least?: string;
  readonly most?: string;
  readonly secretPlace?: true;
};

/** The whole file: a mapping of known keys. */
export type ConfigFileSchema = ConfigSchema & {
  readonly $schema?: string;
  readonly $id?: string;
  readonly title?: string;
  readonly type: "object";
  readonly additionalProperties: false;
  readonly properties: Readonly<Record<string, ConfigSchema>>;
};

/** What a checked file is: sizes in MiB, durations in seconds, absent keys without a default undefined. */
export type ConfigValue<S> = S extends { readonly quantity: QuantityKind }
  ? number
  : S extends { readonly enum: readonly (infer Word)[] }
    ? Word
    : S extends { readonly type: "string" }
      ? string
      : S extends { readonly type: "integer" | "number" }
        ? number
        : S extends { readonly type: "boolean" }
          ? boolean
          : S extends { readonly type: "array"; readonly items: infer Item }
            ? readonly ConfigValue<Item>[]
            : S extends { readonly type: "object"; readonly properties: infer Keys }
              ? Section<Keys, S extends { readonly required: readonly (infer Key)[] } ? Key : never>
              : S extends { readonly type: "object"; readonly additionalProperties: infer Value }
                ? Readonly<Record<string, ConfigValue<Value>>>
                : never;

type Section<Keys, Required> = {
  readonly [Key in keyof Keys]:
    | ConfigValue<Keys[Key]>
    | (Keys[Key] extends { readonly default: unknown }
        ? never
        : Key extends Required
          ? never
          : undefined);
};

/** A size: spread it and add `least`, `most`, `default`. As a value: MiB. */
export const SIZE = { ...size, quantity: "size" } as const;

/** A duration: spread it and add `least`, `most`, `default`. As a value: seconds. */
export const DURATION = { ...duration, quantity: "duration" } as const;

/** A file or folder of this machine. */
export const ABSOLUTE_PATH = {
  type: "string",
  pattern: "^/[^\\p{Cc}\\p{Cs}]{0,4094}$",
  patternErrorMessage: "must be an absolute path without control characters",
} as const;

/** Where a secret lies, for `readSecretFile`: never the secret itself. */
export const SECRET_FILE = {
  type: "string",
  secretPlace: true,
  pattern: "^(/[^\\p{Cc}\\p{Cs}]{1,4094}|credential:[A-Za-z0-9_][A-Za-z0-9._-]{0,99})$",
  patternErrorMessage:
    "must be the absolute path of a file, or credential:NAME for one that systemd hands over (LoadCredential=NAME:/path)",
} as const;
