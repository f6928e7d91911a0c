import {
  array,
  type Codec,
  i32,
  nothing,
  optional,
  string,
  struct,
  u32,
  u64,
  uuid,
} from "./codec.ts";
import { PROGRAM } from "./frame.ts";
import {
  dhcpLease,
  domain,
  domainStats,
  interfaceWithAddresses,
  LIST_MAX,
  network,
} from "./protocol-values.ts";

/** One remote procedure: where it lives, what it takes, what it gives. */
export type Procedure<A, R> = Signature<A, R> & {
  /** For messages. */
  readonly name: string;
};

type Signature<A, R> = {
  readonly program: number;
  readonly number: number;
  readonly takes: Codec<A>;
  readonly gives: Codec<R>;
};

function remote<A, R>(number: number, takes: Codec<A>, gives: Codec<R>): Signature<A, R> {
  return { program: PROGRAM.remote, number, takes, gives };
}

type Named<T> = {
  readonly [K in keyof T]: T[K] extends Signature<infer A, infer R> ? Procedure<A, R> : never;
};

function named<T extends Readonly<Record<string, object>>>(table: T): Named<T> {
  const entries = Object.entries(table).map(([name, signature]) => [name, { ...signature, name }]);
  return Object.fromEntries(entries) as Named<T>;
}

const domainAndFlags = struct({ domain, flags: u32 });

/**
 * The procedures that we use, of the 450 that there are. libvirt calls its protocol internal, but its clients and daemons of
 * all versions have to understand each other, so numbers and fields are only ever appended: all numbers of 9.0 still meant
 * the same in early 2026.
 */
export const PROCEDURE = named({
  authList: remote(66, nothing, array(i32, LIST_MAX.authTypes)),
  authPolkit: remote(70, nothing, i32),

  connectOpen: remote(1, struct({ name: optional(string), flags: u32 }), nothing),
  connectClose: remote(2, nothing, nothing),
  connectGetVersion: remote(4, nothing, u64),
  connectGetLibVersion: remote(157, nothing, u64),
  connectGetHostname: remote(59, nothing, string),
  connectGetCapabilities: remote(7, nothing, string),
  connectSupportsFeature: remote(60, i32, i32),
  connectGetDomainCapabilities: remote(
    342,
    struct({
      emulator: optional(string),
      architecture: optional(string),
      machine: optional(string),
      type: optional(string),
      flags: u32,
    }),
    string,
  ),
  connectListAllDomains: remote(
    273,
    struct({ needResults: i32, flags: u32 }),
    struct({ domains: array(domain, LIST_MAX.domains), count: u32 }),
  ),
  connectListAllNetworks: remote(
    283,
    struct({ needResults: i32, flags: u32 }),
    struct({ networks: array(network, LIST_MAX.networks), count: u32 }),
  ),
  connectGetAllDomainStats: remote(
    344,
    struct({ domains: array(domain, LIST_MAX.domains), kinds: u32, flags: u32 }),
    array(domainStats, LIST_MAX.domains),
  ),
  connectDomainEventCallbackRegisterAny: remote(
    316,
    struct({ event: i32, domain: optional(domain) }),
    i32,
  ),
  connectDomainEventCallbackDeregisterAny: remote(317, i32, nothing),

  domainDefineXmlFlags: remote(350, struct({ xml: string, flags: u32 }), domain),
  domainCreateWithFlags: remote(196, domainAndFlags, domain),
  domainDestroyFlags: remote(234, domainAndFlags, nothing),
  domainUndefineFlags: remote(231, domainAndFlags, nothing),
  domainLookupByName: remote(23, string, domain),
  domainLookupByUuid: remote(24, uuid, domain),
  domainGetState: remote(212, domainAndFlags, struct({ state: i32, reason: i32 })),
  domainGetXmlDesc: remote(14, domainAndFlags, string),
  domainSaveFlags: remote(
    232,
    struct({ domain, to: string, xml: optional(string), flags: u32 }),
    nothing,
  ),
  domainRestoreFlags: remote(
    233,
    struct({ from: string, xml: optional(string), flags: u32 }),
    nothing,
  ),
  domainSuspend: remote(34, domain, nothing),
  domainResume: remote(28, domain, nothing),
  domainInterfaceAddresses: remote(
    353,
    struct({ domain, source: u32, flags: u32 }),
    array(interfaceWithAddresses, LIST_MAX.interfaces),
  ),
  domainScreenshot: remote(211, struct({ domain, screen: u32, flags: u32 }), optional(string)),
  domainGetDiskErrors: remote(
    263,
    struct({ domain, errorsMax: u32, flags: u32 }),
    struct({
      errors: array(struct({ disk: string, error: i32 }), LIST_MAX.diskErrors),
      count: i32,
    }),
  ),
  domainUpdateDeviceFlags: remote(174, struct({ domain, xml: string, flags: u32 }), nothing),

  networkDefineXml: remote(41, string, network),
  networkCreate: remote(39, network, nothing),
  networkDestroy: remote(42, network, nothing),
  networkUndefine: remote(49, network, nothing),
  networkLookupByName: remote(46, string, network),
  networkGetXmlDesc: remote(43, struct({ network, flags: u32 }), string),
  networkIsActive: remote(152, network, i32),
  networkUpdate: remote(
    291,
    struct({ network, command: u32, section: u32, parent: i32, xml: string, flags: u32 }),
    nothing,
  ),
  networkSetAutostart: remote(48, struct({ network, autostart: i32 }), nothing),
  networkGetDhcpLeases: remote(
    341,
    struct({ network, mac: optional(string), needResults: i32, flags: u32 }),
    struct({ leases: array(dhcpLease, LIST_MAX.leases), count: u32 }),
  ),

  qemuDomainMonitorCommand: {
    program: PROGRAM.qemu,
    number: 1,
    takes: struct({ domain, command: string, flags: u32 }),
    gives: string,
  },
});

/** The domain events that we ask for: libvirt's event id, and the procedure under which they then come. */
export const DOMAIN_EVENT = {
  lifecycle: {
    event: 0,
    procedure: 318,
    gives: struct({ callback: i32, domain, event: i32, detail: i32 }),
  },
  reboot: { event: 1, procedure: 319, gives: struct({ callback: i32, domain }) },
  watchdog: { event: 3, procedure: 321, gives: struct({ callback: i32, domain, action: i32 }) },
  ioError: {
    event: 6,
    procedure: 324,
    gives: struct({
      callback: i32,
      domain,
      path: string,
      device: string,
      action: i32,
      reason: string,
    }),
  },
  controlError: { event: 7, procedure: 325, gives: struct({ callback: i32, domain }) },
} as const;

/** Messages of the keepalive program. */
export const KEEPALIVE = { ping: 1, pong: 2 } as const;
