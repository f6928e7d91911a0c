import type { Static } from "typebox";

/** What `--json` prints in place of an answer when there is none, as JSON Schema 2020-12. */
const text = { type: "string" } as const;
const position = { type: "integer", minimum: 1 } as const;

const place = {
  description: "In the job file, or on the command line.",
  anyOf: [
    {
      type: "object",
      additionalProperties: false,
      required: ["line", "column"],
      properties: { line: position, column: position },
    },
    {
      type: "object",
      additionalProperties: false,
      required: ["option"],
      properties: { option: { ...text, description: "The option, as it was given." } },
    },
  ],
} as const;

export const errorSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "urn:testbed:error",
  title: "testbed error",
  description:
    "What a command with --json prints on standard output instead of its answer when it has none.",
  type: "object",
  additionalProperties: false,
  required: ["error"],
  properties: {
    error: {
      type: "object",
      description: "Why there is no answer.",
      additionalProperties: false,
      required: ["exitCode", "message"],
      properties: {
        exitCode: {
          enum: [2, 3, 4, 130],
          description:
            "The exit status: 2 wrong job file or command line, 3 broken, 4 timed out, 130 cancelled.",
        },
        message: { ...text, description: "What is wrong, and what to try, for people." },
        problem: {
          ...text,
          pattern: "^[a-z-]+$",
          description:
            "When the job service refused: its stable name for that, as in urn:testbed:problem:<name>.",
        },
        problems: {
          type: "array",
          description: "What is wrong with the job file, each thing with its place.",
          items: {
            type: "object",
            additionalProperties: false,
            required: ["place", "path", "says"],
            properties: {
              place,
              path: {
                ...text,
                description: "Dotted path of the key (steps.0.run); empty for the file as a whole.",
              },
              says: { ...text, description: "What is wrong, and what is allowed." },
            },
          },
        },
      },
    },
  },
} as const;

/** The error document. */
export type ErrorDocument = Static<typeof errorSchema>;
