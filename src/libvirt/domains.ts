import type { CallOptions } from "./call.ts";
import type { Connection } from "./connection.ts";
import { type DomainState, domainState, stateReason } from "./domain-names.ts";
import { flags } from "./flags.ts";
import { PROCEDURE } from "./protocol.ts";
import type { DomainRef } from "./protocol-values.ts";
import { undefinedWhen } from "./undefined-when.ts";

/** A domain's state with libvirt's reason for it, as a name and as its number. */
export type DomainStatus = {
  readonly state: DomainState;
  readonly reason: string;
  readonly reasonCode: number;
};

/** What else to remove with the definition. */
export type UndefineOptions = CallOptions & {
  readonly managedSave?: boolean;
  readonly snapshotsMetadata?: boolean;
  readonly nvram?: boolean;
  /** Instead: leaves the firmware's variables as the file that they are. */
  readonly keepNvram?: boolean;
};

/** Libvirt's calls about which domains there are and what they are. */
export function domainCalls(connection: Connection) {
  return {
    /** Makes a domain known, or changes the definition of the one with this UUID. `validate` checks it against the schema. */
    define: async (
      xml: string,
      o?: CallOptions & { readonly validate?: boolean },
    ): Promise<DomainRef> =>
      await connection.call(
        PROCEDURE.domainDefineXmlFlags,
        { xml, flags: flags([o?.validate, 1]) },
        o,
      ),

    /** Removes the definition; a running domain goes on until it stops. Twice fails with VIR_ERR_NO_DOMAIN. */
    undefine: async (domain: DomainRef, o?: UndefineOptions): Promise<void> =>
      await connection.call(
        PROCEDURE.domainUndefineFlags,
        {
          domain,
          flags: flags(
            [o?.managedSave, 1],
            [o?.snapshotsMetadata, 2],
            [o?.nvram, 4],
            [o?.keepNvram, 8],
          ),
        },
        o,
      ),

    /** All domains, running (`id` is not -1) and not. */
    list: async (o?: CallOptions): Promise<readonly DomainRef[]> =>
      (await connection.call(PROCEDURE.connectListAllDomains, { needResults: 1, flags: 0 }, o))
        .domains,

    /** Undefined when there is none of that name. */
    lookupByName: async (name: string, o?: CallOptions): Promise<DomainRef | undefined> =>
      await undefinedWhen(
        "VIR_ERR_NO_DOMAIN",
        connection.call(PROCEDURE.domainLookupByName, name, o),
      ),

    /** Undefined when there is none with that UUID, which must be of the form 8-4-4-4-12. */
    lookupByUuid: async (uuid: string, o?: CallOptions): Promise<DomainRef | undefined> =>
      await undefinedWhen(
        "VIR_ERR_NO_DOMAIN",
        connection.call(PROCEDURE.domainLookupByUuid, uuid, o),
      ),

    /** What libvirt believes; a frozen QEMU is `running`. */
    state: async (domain: DomainRef, o?: CallOptions): Promise<DomainStatus> => {
      const said = await connection.call(PROCEDURE.domainGetState, { domain, flags: 0 }, o);
      const state = domainState(said.state);
      return { state, reason: stateReason(state, said.reason), reasonCode: said.reason };
    },

    /** The domain's XML as it runs, or as it is defined with `inactive`; `secure` includes passwords. */
    xml: async (
      domain: DomainRef,
      o?: CallOptions & { readonly inactive?: boolean; readonly secure?: boolean },
    ): Promise<string> =>
      await connection.call(
        PROCEDURE.domainGetXmlDesc,
        { domain, flags: flags([o?.secure, 1], [o?.inactive, 2]) },
        o,
      ),

    /** Changes a device of a running domain (`live`), of its definition (`config`), or both. */
    updateDevice: async (
      domain: DomainRef,
      xml: string,
      o?: CallOptions & { readonly live?: boolean; readonly config?: boolean },
    ): Promise<void> =>
      await connection.call(
        PROCEDURE.domainUpdateDeviceFlags,
        { domain, xml, flags: flags([o?.live, 1], [o?.config, 2]) },
        o,
      ),
  };
}
