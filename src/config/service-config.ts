import type { Finding } from "#job/quantity.ts";
import { isLocal, parseListenAddress } from "#lib/listen-address.ts";
import {
  ABSOLUTE_PATH,
  type ConfigFileSchema,
  type ConfigValue,
  DURATION,
  SECRET_FILE,
  SIZE,
} from "./config-schema.ts";
import { LOG_SECTION } from "./log-config.ts";
import { RETENTION_SECTION } from "./retention-config.ts";

/**
 * The configuration of the job service (`config/service.yaml`, where each key is explained at length), as JSON Schema
 * 2020-12. What it cannot say is in `checkServiceConfig`.
 */
export const serviceConfigSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "urn:testbed:service-config",
  title: "testbed service configuration",
  description: "Configuration of the job service. YAML or JSON, at most 256 KiB; may be empty.",
  type: "object",
  additionalProperties: false,
  properties: {
    state: {
      ...ABSOLUTE_PATH,
      description: "The service's folder; default: service in the state folder of this machine.",
    },
    listen: {
      type: "array",
      minItems: 0,
      maxItems: 16,
      items: {
        type: "string",
        pattern: "^(unix:/.+|[0-9.]+:[0-9]{1,5}|\\[[0-9a-fA-F:.]+\\]:[0-9]{1,5})$",
        patternErrorMessage:
          "must be unix:/PATH, an IPv4 address or an IPv6 address in brackets, with a port",
      },
      default: ["127.0.0.1:8420"],
      description:
        "Where to listen beside service.sock in its folder, at most 16: 127.0.0.1:8420, [::1]:8420, unix:/run/x.sock.",
    },
    tls: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "With both keys all TCP addresses speak TLS 1.2 or newer; default: none.",
      properties: {
        certificate: { ...ABSOLUTE_PATH, description: "Certificate chain, PEM; no default." },
        key: {
          ...SECRET_FILE,
          description: "Its key, PEM: a file of ours alone, or credential:NAME; no default.",
        },
      },
    },
    plainHttp: {
      type: "boolean",
      default: false,
      description: "Allow HTTP without TLS beyond this machine: the network between is trusted.",
    },
    lease: {
      ...DURATION,
      least: "30s",
      most: "1h",
      default: "5m",
      description:
        "Length of a lease unless renewed, 30s to 1h. A restart of daemon or service must fit inside.",
    },
    reserve: {
      ...SIZE,
      least: "1MiB",
      most: "1TiB",
      default: "512MiB",
      description:
        "Kept free for jobs that run, 1MiB to 1TiB; with less nothing new is taken (507).",
    },
    limits: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "Bounds on what is taken from anybody.",
      properties: {
        content: {
          ...SIZE,
          least: "1MiB",
          most: "16TiB",
          default: "64GiB",
          description: "The longest input or artifact, 1MiB to 16TiB.",
        },
        log: {
          ...SIZE,
          least: "1MiB",
          most: "1TiB",
          default: "1GiB",
          description: "The longest log of an attempt, 1MiB to 1TiB.",
        },
        attemptLogs: {
          ...SIZE,
          least: "1MiB",
          most: "16TiB",
          default: "4GiB",
          description: "All logs of an attempt, 1MiB to 16TiB.",
        },
        attemptArtifacts: {
          ...SIZE,
          least: "1MiB",
          most: "16TiB",
          default: "9GiB",
          description: "All artifacts of an attempt, 1MiB to 16TiB.",
        },
        inputs: {
          ...SIZE,
          least: "1MiB",
          most: "1000TiB",
          default: "256GiB",
          description: "All inputs of a submitter, 1MiB to 1000TiB.",
        },
        queued: {
          type: "integer",
          minimum: 1,
          maximum: 10_000_000,
          default: 200_000,
          description: "Jobs that one submitter may have in the queue, 1 to 10000000.",
        },
        connections: {
          type: "integer",
          minimum: 16,
          maximum: 1_000_000,
          default: 10_000,
          description: "Connections of one address that is listened on, at once; 16 to 1000000.",
        },
        waiting: {
          type: "integer",
          minimum: 1,
          maximum: 100_000,
          default: 500,
          description: "Long polls and event streams of one token, at once; 1 to 100000.",
        },
      },
    },
    retention: RETENTION_SECTION,
    log: LOG_SECTION,
  },
} as const satisfies ConfigFileSchema;

export type ServiceConfig = ConfigValue<typeof serviceConfigSchema>;

/** What is wrong with keys that are each right by the schema. */
export function checkServiceConfig({
  listen,
  tls,
  plainHttp,
}: Pick<ServiceConfig, "listen" | "tls" | "plainHttp">): readonly Finding[] {
  const hasTls = tls.certificate !== undefined && tls.key !== undefined;
  const isHalf = !hasTls && (tls.certificate !== undefined || tls.key !== undefined);
  return [
    ...listen.flatMap((text, number) => {
      const says = wrongWith(text, hasTls || plainHttp);
      return says === undefined ? [] : [{ path: ["listen", String(number)], says }];
    }),
    ...(isHalf ? [{ path: ["tls"], says: "certificate and key go together" }] : []),
  ];
}

function wrongWith(text: string, isOpen: boolean): string | undefined {
  const address = parseListenAddress(text);
  if (address === undefined)
    return `is '${text}'; must be unix:/PATH, an IPv4 address or an IPv6 address in brackets, with a port`;
  if (isLocal(address) || isOpen) return undefined;
  return `is '${text}', beyond this machine; that needs tls (certificate and key), or plainHttp: true`;
}
