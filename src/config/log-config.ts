/** How much a process of ours says of itself: the same section in every configuration file. */
export const LOG_SECTION = {
  type: "object",
  additionalProperties: false,
  default: {},
  description: "What the process says of itself, on standard error.",
  properties: {
    level: {
      enum: ["error", "warn", "info", "debug"],
      default: "info",
      description: "The least that is said: error, warn, info (the default) or debug.",
    },
  },
} as const;
