import {
  ABSOLUTE_PATH,
  type ConfigFileSchema,
  type ConfigValue,
  SECRET_FILE,
} from "./config-schema.ts";
import { SERVICE_ADDRESS_ALLOWED, SERVICE_ADDRESS_PATTERN } from "./service-address.ts";

const contextName = {
  type: "string",
  pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
  patternErrorMessage: "must be 1 to 63 letters, digits, ., _ and -, such as lab",
} as const;

const context = {
  type: "object",
  description: "A job service and how to reach it.",
  additionalProperties: false,
  required: ["service"],
  properties: {
    service: {
      type: "string",
      pattern: SERVICE_ADDRESS_PATTERN,
      patternErrorMessage: SERVICE_ADDRESS_ALLOWED,
      description: "The service's address: https://HOST, https://HOST:PORT, or unix:/PATH.",
    },
    tokenFile: {
      ...SECRET_FILE,
      description:
        "The file that holds your token, readable by you alone (mode 0600). Default: TESTBED_TOKEN_FILE or TESTBED_TOKEN.",
    },
    ca: {
      ...ABSOLUTE_PATH,
      description:
        "Certificates to trust instead of the system's, PEM; for a service whose certificate comes from an authority of your own.",
    },
  },
} as const;

/** The file of people who use a job service, `~/.config/testbed/config.yaml`. `config/client.yaml` is an example. */
export const clientFileSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "urn:testbed:client",
  title: "testbed client configuration",
  description: "The job services that somebody uses.",
  type: "object",
  additionalProperties: false,
  properties: {
    current: {
      ...contextName,
      description:
        "The context that commands use which say nothing else (--context, --service, TESTBED_CONTEXT, TESTBED_SERVICE).",
    },
    contexts: {
      type: "object",
      description: "Your job services, by a name of your choice; at most 100.",
      default: {},
      maxProperties: 100,
      propertyNames: contextName,
      additionalProperties: context,
    },
  },
} as const satisfies ConfigFileSchema;

/** One context of the file. */
export type Context = ConfigValue<typeof context>;
