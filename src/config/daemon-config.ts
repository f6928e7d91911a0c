import { type Finding, quantityText } from "#job/quantity.ts";
import {
  ABSOLUTE_PATH,
  type ConfigFileSchema,
  type ConfigValue,
  SECRET_FILE,
  SIZE,
} from "./config-schema.ts";
import { LOG_SECTION } from "./log-config.ts";
import { EVIDENCE_SECTION, QUARANTINE_SECTION, UPKEEP_SECTION } from "./upkeep-config.ts";

/** The service is inside the daemon: one process is a whole lab. */
export const EMBEDDED = "embedded";

/**
 * The configuration of a testbed host (`config/daemon.yaml`, where each key is explained at length), as JSON Schema 2020-12. What
 * it cannot say is in `checkDaemonConfig`.
 */
export const daemonConfigSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "urn:testbed:daemon-config",
  title: "testbed daemon configuration",
  description: "Configuration of a testbed host. YAML or JSON, at most 256 KiB; may be empty.",
  type: "object",
  additionalProperties: false,
  properties: {
    host: {
      type: "string",
      pattern: "^[a-z0-9][a-z0-9.-]{0,62}$",
      patternErrorMessage: "must be 1 to 63 of a-z, 0-9, . and -, such as lab-7",
      description: "The host's name at the service, that of its token; default: its host name.",
    },
    state: {
      ...ABSOLUTE_PATH,
      description:
        "Folder for images, machines and attempts; default: $TESTBED_STATE, or its own default.",
    },
    service: {
      type: "string",
      pattern: "^(embedded|https?://[^\\s/?#@]+(/[^\\s?#]*)?|unix:/[^\\p{Cc}\\p{Cs}]+)$",
      patternErrorMessage: "must be https://HOST:PORT, unix:/PATH, or embedded",
      default: EMBEDDED,
      description: "The job service; embedded: one of its own, inside the daemon.",
    },
    token: {
      ...SECRET_FILE,
      description:
        "File with this host's token, made by 'testbed token create HOST --role host'; no default.",
    },
    ca: {
      ...ABSOLUTE_PATH,
      description: "Certificates to trust the service by instead of the system's, PEM; no default.",
    },
    plainHttp: {
      type: "boolean",
      default: false,
      description:
        "Allow a service beyond this machine without TLS: the network between is trusted.",
    },
    serviceConfig: {
      ...ABSOLUTE_PATH,
      description:
        "Configuration of an embedded service, as service.yaml; no default: all defaults.",
    },
    labels: {
      type: "array",
      maxItems: 30,
      uniqueItems: true,
      items: {
        type: "string",
        pattern: "^[a-z0-9][a-z0-9._=-]{0,62}$",
        patternErrorMessage: "must be 1 to 63 of a-z, 0-9, ., _, = and -, such as site=oslo",
      },
      default: [],
      description: "What jobs may ask for, at most 30; arch=… is always there.",
    },
    capacity: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "What machines may take of this host.",
      properties: {
        slots: {
          type: "integer",
          minimum: 1,
          maximum: 64,
          default: 4,
          description: "Machines at once, 1 to 64.",
        },
        cpus: {
          type: "integer",
          minimum: 1,
          maximum: 4096,
          description: "Virtual CPUs of all machines, 1 to 4096; default: as many as the host has.",
        },
        memoryReserve: {
          ...SIZE,
          least: "512MiB",
          most: "1TiB",
          default: "1GiB",
          description: "Memory left to the host itself, 512MiB to 1TiB.",
        },
        diskReserve: {
          ...SIZE,
          least: "256MiB",
          most: "100TiB",
          default: "2GiB",
          description: "Kept free on the state folder's file system, 256MiB to 100TiB.",
        },
        diskLow: {
          ...SIZE,
          least: "16MiB",
          most: "100TiB",
          default: "512MiB",
          description:
            "With less free, logs and artifacts that wait for the service are cut; 16MiB to 100TiB, at most the reserve.",
        },
        load: {
          type: "number",
          minimum: 0.1,
          maximum: 1000,
          default: 4,
          description:
            "No work is taken while the load of a minute is above so much for each CPU, 0.1 to 1000.",
        },
      },
    },
    machines: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "How machines run.",
      properties: {
        libvirt: {
          type: "string",
          pattern: "^(qemu:///(system|session)|test:///default)(\\?socket=/[^?#\\s]+)?$",
          patternErrorMessage:
            "must be qemu:///system or qemu:///session, perhaps with ?socket=/path",
          description: "libvirt to use; default: $TESTBED_LIBVIRT, or qemu:///system.",
        },
        acceleration: {
          enum: ["auto", "kvm", "tcg"],
          default: "auto",
          description:
            "kvm: in hardware; tcg: emulated; auto: kvm where a machine really runs under it.",
        },
        emulation: {
          enum: ["refused", "allowed"],
          default: "refused",
          description:
            "Whether work is taken without KVM, where QEMU promises no protection from guests.",
        },
        logLimit: {
          ...SIZE,
          least: "1MiB",
          most: "1GiB",
          default: "64MiB",
          description: "Where the log of a step is cut, 1MiB to 1GiB.",
        },
      },
    },
    images: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "The catalogue on this host.",
      properties: {
        folders: {
          type: "array",
          maxItems: 16,
          items: ABSOLUTE_PATH,
          default: [],
          description: "More folders of recipes, searched before those that ship, at most 16.",
        },
        file: {
          ...ABSOLUTE_PATH,
          description:
            "Which catalogues are followed, as images.yaml; default: $TESTBED_IMAGES, or /etc/testbed/images.yaml where it is there.",
        },
        build: {
          type: "boolean",
          default: true,
          description: "Offer images that would have to be built first, as root; takes minutes.",
        },
      },
    },
    upkeep: UPKEEP_SECTION,
    evidence: EVIDENCE_SECTION,
    quarantine: QUARANTINE_SECTION,
    log: LOG_SECTION,
  },
} as const satisfies ConfigFileSchema;

export type DaemonConfig = ConfigValue<typeof daemonConfigSchema>;

/** What is wrong with keys that are each right by the schema. */
export function checkDaemonConfig(config: DaemonConfig): readonly Finding[] {
  const { service, token, ca, serviceConfig, plainHttp } = config;
  const isEmbedded = service === EMBEDDED;
  const wrong = (key: string, is: boolean, says: string) => (is ? [{ path: [key], says }] : []);
  return [
    ...wrong(
      "service",
      !isEmbedded && token === undefined,
      "needs a token: name its file as token, made by 'testbed token create HOST --role host'",
    ),
    ...wrong(
      "service",
      service.startsWith("http:") && !plainHttp && !isLoopback(service),
      `is '${service}', beyond this machine and without TLS; use https, or say plainHttp: true`,
    ),
    ...wrong("token", isEmbedded && token !== undefined, "is not used by an embedded service"),
    ...wrong("ca", ca !== undefined && !service.startsWith("https:"), "is for https only"),
    ...wrong(
      "serviceConfig",
      !isEmbedded && serviceConfig !== undefined,
      "is for service: embedded only",
    ),
    ...diskFindings(config),
  ];
}

function diskFindings({ capacity }: DaemonConfig): readonly Finding[] {
  const { diskLow, diskReserve } = capacity;
  if (diskLow <= diskReserve) return [];
  const says = `is more than capacity.diskReserve, ${quantityText("size", diskReserve)}; it is a mark below that`;
  return [{ path: ["capacity", "diskLow"], says }];
}

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === "localhost" || hostname === "[::1]" || /^127\.[0-9.]+$/.test(hostname);
}
