/**
 * Single values that verdicts and messages are made of, as JSON Schema. Every text, list and number of others is bounded here or where
 * it is used. Written as plain data: see `job-file-schema.ts` for why.
 */

/** No control and no invisible formatting characters, no line separators. */
export const VISIBLE = "[^\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}]";

export const sha256 = {
  type: "string",
  pattern: "^[0-9a-f]{64}$",
  patternErrorMessage: "must be a SHA-256 digest, 64 hexadecimal digits",
} as const;

export const imageName = {
  type: "string",
  pattern: "^[a-z0-9][a-z0-9-]{0,62}$",
  patternErrorMessage: "must be an image's name, such as debian-12",
} as const;

export const imageVersion = {
  type: "string",
  pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$",
  patternErrorMessage: "must be an image's version",
} as const;

/** One line for people. */
export const line = {
  type: "string",
  pattern: `^${VISIBLE}{1,500}$`,
  patternErrorMessage: "must be 1 to 500 characters on one line, all of them visible",
} as const;

/** Several lines for people; not to be shown raw on a terminal. */
export const prose = {
  type: "string",
  pattern: "^[^\\u0000\\p{Cs}]*$",
  patternErrorMessage: "must be text without NUL characters",
  maxLength: 8192,
} as const;

/** Sizes of files; 1 PiB is beyond any of them and well within a double's whole numbers. */
export const bytes = { type: "integer", minimum: 0, maximum: 2 ** 50 } as const;

export const milliseconds = { type: "integer", minimum: 0, maximum: 2 ** 42 } as const;

export const acceleration = { enum: ["kvm", "tcg"] } as const;

export const phase = {
  enum: [
    "leased",
    "preparing",
    "booting",
    "connecting",
    "running",
    "collecting",
    "settled",
    "reported",
  ],
} as const;

export const verdictKind = {
  enum: ["passed", "failed", "timed-out", "cancelled", "broken"],
} as const;
