import { bytes } from "#job/values.ts";
import { closed } from "./closed.ts";

/**
 * How bytes move, in and out, by offset. A writer that does not know how much there is asks with HEAD, or sends and is
 * told `haveBytes`; bytes that are there already are never written twice.
 */

/** The longest body of bytes; what is longer is sent in several requests. */
export const CHUNK_BYTES_MAX = 64 * 2 ** 20;

export const offset = closed(
  {
    offset: { ...bytes, description: "Where these bytes begin; must be as much as there is." },
    total: { ...bytes, description: "Length of the whole content, the same in each request." },
  },
  "offset",
  "total",
);

const state = {
  "testbed-have-bytes": { ...bytes, description: "How much there is." },
  "testbed-complete": {
    enum: ["true", "false"],
    description: "Whether that is all, with the right digest.",
  },
} as const;

export const have = { 204: { says: "How much there is, in headers.", headers: state } } as const;

export const range = closed({
  range: {
    type: "string",
    pattern: "^bytes=([0-9]{1,15}-[0-9]{0,15}|-[0-9]{1,15})$",
    patternErrorMessage: "must be one range of bytes, such as bytes=1000-",
  },
});

export const rangeAnswers = {
  200: { says: "All of it.", type: "application/octet-stream" },
  206: { says: "The range.", type: "application/octet-stream" },
} as const;
