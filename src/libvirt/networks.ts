import type { CallOptions } from "./call.ts";
import type { Connection } from "./connection.ts";
import { flags } from "./flags.ts";
import { PROCEDURE } from "./protocol.ts";
import type { NetworkRef } from "./protocol-values.ts";
import { undefinedWhen } from "./undefined-when.ts";

/** What libvirt's DHCP server gave to a guest. `hostname` and `clientId` are the guest's word. */
export type DhcpLease = {
  readonly interface: string;
  /** Seconds since 1970 by the host's clock. */
  readonly expires: number;
  readonly family: "ipv4" | "ipv6";
  readonly mac: string | undefined;
  readonly address: string;
  readonly prefix: number;
  readonly hostname: string | undefined;
  /** The client's identifier, for IPv6 its DUID. */
  readonly clientId: string | undefined;
};

/** Numbers of virNetworkUpdateCommand and virNetworkUpdateSection. */
const MODIFY_DHCP_HOST = { command: 1, section: 4 } as const;
/** What runs, and not what is defined. */
const LIVE = 1;

/** Libvirt's calls about networks. */
export function networkCalls(connection: Connection) {
  return {
    /** Makes a network known, or changes the definition of the one with this UUID. */
    define: async (xml: string, o?: CallOptions): Promise<NetworkRef> =>
      await connection.call(PROCEDURE.networkDefineXml, xml, o),

    /** Starts a defined network; VIR_ERR_OPERATION_INVALID when it runs already. */
    create: async (network: NetworkRef, o?: CallOptions): Promise<void> =>
      await connection.call(PROCEDURE.networkCreate, network, o),

    /** Stops it, its DHCP server included; the definition stays. Twice fails with VIR_ERR_OPERATION_INVALID. */
    destroy: async (network: NetworkRef, o?: CallOptions): Promise<void> =>
      await connection.call(PROCEDURE.networkDestroy, network, o),

    /** Removes the definition. Twice fails with VIR_ERR_NO_NETWORK. */
    undefine: async (network: NetworkRef, o?: CallOptions): Promise<void> =>
      await connection.call(PROCEDURE.networkUndefine, network, o),

    /** All networks, running and not. */
    list: async (o?: CallOptions): Promise<readonly NetworkRef[]> =>
      (await connection.call(PROCEDURE.connectListAllNetworks, { needResults: 1, flags: 0 }, o))
        .networks,

    /** Undefined when there is none of that name. */
    lookupByName: async (name: string, o?: CallOptions): Promise<NetworkRef | undefined> =>
      await undefinedWhen(
        "VIR_ERR_NO_NETWORK",
        connection.call(PROCEDURE.networkLookupByName, name, o),
      ),

    /** The network's XML as it runs, or as it is defined with `inactive`. */
    xml: async (
      network: NetworkRef,
      o?: CallOptions & { readonly inactive?: boolean },
    ): Promise<string> =>
      await connection.call(
        PROCEDURE.networkGetXmlDesc,
        { network, flags: flags([o?.inactive, 1]) },
        o,
      ),

    isActive: async (network: NetworkRef, o?: CallOptions): Promise<boolean> =>
      (await connection.call(PROCEDURE.networkIsActive, network, o)) !== 0,

    /**
     * Writes the reserved addresses of a running network anew, with `xml` (a `<host>` of its `<dhcp>`) in the place of the one
     * with the same MAC address. Its DHCP server reads them again, and is started when it does not run. Only with libvirt
     * 7.2 and newer: older ones take what they are sent for something else, and refuse it.
     */
    updateHost: async (network: NetworkRef, xml: string, o?: CallOptions): Promise<void> =>
      await connection.call(
        PROCEDURE.networkUpdate,
        { network, ...MODIFY_DHCP_HOST, parent: -1, xml, flags: LIVE },
        o,
      ),

    /** Whether libvirtd starts it by itself when it starts. */
    setAutostart: async (network: NetworkRef, autostart: boolean, o?: CallOptions): Promise<void> =>
      await connection.call(
        PROCEDURE.networkSetAutostart,
        { network, autostart: autostart ? 1 : 0 },
        o,
      ),

    /** The current leases, of one MAC address or of all. */
    leases: async (
      network: NetworkRef,
      o?: CallOptions & { readonly mac?: string },
    ): Promise<readonly DhcpLease[]> => {
      const args = { network, mac: o?.mac, needResults: 1, flags: 0 };
      const { leases } = await connection.call(PROCEDURE.networkGetDhcpLeases, args, o);
      return leases.map(({ type, expires, iaid: _, ...lease }) => ({
        ...lease,
        expires: Number(expires),
        family: type === 0 ? "ipv4" : "ipv6",
      }));
    },
  };
}
