import type { CallOptions } from "./call.ts";
import type { Connection } from "./connection.ts";
import { LibvirtConnectionError } from "./error.ts";
import { flags } from "./flags.ts";
import { PROCEDURE } from "./protocol.ts";
import { type DomainRef, LIST_MAX } from "./protocol-values.ts";

/** Who is asked for addresses: the DHCP server of libvirt's network, the agent in the guest, or the host's ARP table. */
const ADDRESS_SOURCE = { lease: 0, agent: 1, arp: 2 } as const;

export type AddressSource = keyof typeof ADDRESS_SOURCE;

export type InterfaceAddresses = {
  readonly name: string;
  readonly mac: string | undefined;
  readonly addresses: readonly {
    readonly family: "ipv4" | "ipv6";
    readonly address: string;
    readonly prefix: number;
  }[];
};

/** Groups of statistics; which parameters each has is in libvirt's virConnectGetAllDomainStats. */
const STATS = {
  state: 1,
  cpu: 2,
  balloon: 4,
  vcpu: 8,
  interface: 16,
  block: 32,
  perf: 64,
  iothread: 128,
  memory: 256,
  dirtyrate: 512,
  vm: 1024,
} as const;

export type StatsKind = keyof typeof STATS;

export type StatsOptions = CallOptions & {
  /** Only these domains; all when missing. */
  readonly domains?: readonly DomainRef[];
  /** Leaves out what a busy domain would make us wait for. Even so the call can block on a QEMU that hangs. */
  readonly nowait?: boolean;
  /** Only running domains. */
  readonly active?: boolean;
};

export type DomainStats = {
  readonly domain: DomainRef;
  /** Keys as libvirt writes them, `cpu.time`. 64-bit numbers are bigints. */
  readonly values: ReadonlyMap<string, number | bigint | boolean | string>;
};

export type Screenshot = { readonly mime: string; readonly bytes: Buffer };

/** The place in the list is libvirt's number (virDomainDiskErrorCode). */
const DISK_ERRORS = ["none", "unspecified", "no-space"] as const;

/** `disk` is its target in the guest, `vda`; `unknown` is newer than our list. */
export type DiskTrouble = {
  readonly disk: string;
  readonly error: (typeof DISK_ERRORS)[number] | "unknown";
};

const SCREENSHOT_BYTES_MAX = 16 * 1024 * 1024;
const ACTIVE = 1;
const NOWAIT = 0x2000_0000;

/** Libvirt's calls that look into domains. */
export function domainInsightCalls(connection: Connection) {
  return {
    /**
     * Addresses per interface. Guests choose some of it: `agent` is entirely their word. `arp` fails with libvirt 9.0 on
     * recent kernels.
     */
    interfaceAddresses: async (
      domain: DomainRef,
      source: AddressSource,
      o?: CallOptions,
    ): Promise<readonly InterfaceAddresses[]> => {
      const args = { domain, source: ADDRESS_SOURCE[source], flags: 0 };
      const interfaces = await connection.call(PROCEDURE.domainInterfaceAddresses, args, o);
      return interfaces.map(({ name, mac, addresses }) => ({
        name,
        mac,
        addresses: addresses.map(({ type, address, prefix }) => ({
          family: type === 0 ? "ipv4" : "ipv6",
          address,
          prefix,
        })),
      }));
    },

    /**
     * Statistics of many domains in one call. Fails as a whole when a domain dies meanwhile (VIR_ERR_INTERNAL_ERROR or
     * VIR_ERR_SYSTEM_ERROR): ask again. Blocks on a hung QEMU: give it a connection and a deadline of its own.
     */
    stats: async (
      kinds: readonly StatsKind[],
      o?: StatsOptions,
    ): Promise<readonly DomainStats[]> => {
      const records = await connection.call(
        PROCEDURE.connectGetAllDomainStats,
        {
          domains: o?.domains ?? [],
          kinds: kinds.reduce((sum, kind) => sum | STATS[kind], 0),
          flags: flags([o?.active, ACTIVE], [o?.nowait, NOWAIT]),
        },
        o,
      );
      return records.map(({ domain, parameters }) => ({
        domain,
        values: new Map(parameters.map(({ field, value }) => [field, value.value])),
      }));
    },

    /**
     * What is wrong with the disks of a running domain, those that are well left out. QEMU tells of an error that it stopped
     * the guest for. Only with the qemu driver.
     */
    diskErrors: async (domain: DomainRef, o?: CallOptions): Promise<readonly DiskTrouble[]> => {
      const args = { domain, errorsMax: LIST_MAX.diskErrors, flags: 0 };
      const { errors } = await connection.call(PROCEDURE.domainGetDiskErrors, args, o);
      return errors.map(({ disk, error }) => ({ disk, error: DISK_ERRORS[error] ?? "unknown" }));
    },

    /** The picture on the first screen. Throws LibvirtStreamError when it is larger than `bytesMax`, 16 MiB by default. */
    screenshot: async (
      domain: DomainRef,
      o?: CallOptions & { readonly bytesMax?: number },
    ): Promise<Screenshot> => {
      const { reply, bytes } = await connection.download(
        { procedure: PROCEDURE.domainScreenshot, args: { domain, screen: 0, flags: 0 } },
        o?.bytesMax ?? SCREENSHOT_BYTES_MAX,
        o,
      );
      return { mime: reply ?? "application/octet-stream", bytes };
    },

    /**
     * Sends a QMP command past libvirt to QEMU and gives its reply, an object with `return` or `error`. Marks the domain
     * as tainted. Only with the qemu driver.
     */
    monitorCommand: async (
      domain: DomainRef,
      command: Readonly<Record<string, unknown>>,
      o?: CallOptions,
    ): Promise<unknown> => {
      const args = { domain, command: JSON.stringify(command), flags: 0 };
      return parseJson(await connection.call(PROCEDURE.qemuDomainMonitorCommand, args, o));
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LibvirtConnectionError("protocol", "QEMU's monitor did not answer with JSON", {
      cause,
      maybeDone: true,
    });
  }
}
