import type { CallOptions } from "./call.ts";
import type { Connection } from "./connection.ts";
import { PROCEDURE } from "./protocol.ts";

/** A version as libvirt counts them. */
export type Version = { readonly major: number; readonly minor: number; readonly release: number };

/** Which kind of machine `domainCapabilities` is about; libvirt picks what is left out. */
export type MachineKind = {
  readonly emulator?: string;
  readonly architecture?: string;
  readonly machine?: string;
  readonly type?: "kvm" | "qemu";
};

/** Libvirt's calls about the host. */
export function hostCalls(connection: Connection) {
  return {
    /** XML. That it lists KVM does not mean that guests run under it. */
    capabilities: async (o?: CallOptions): Promise<string> =>
      await connection.call(PROCEDURE.connectGetCapabilities, undefined, o),

    /** XML: what machines of this kind can have here. Not with the test driver. */
    domainCapabilities: async (kind: MachineKind = {}, o?: CallOptions): Promise<string> => {
      const { emulator, architecture, machine, type } = kind;
      const args = { emulator, architecture, machine, type, flags: 0 };
      return await connection.call(PROCEDURE.connectGetDomainCapabilities, args, o);
    },

    /** Of libvirt's daemon, and of the hypervisor below it (QEMU). */
    version: async (o?: CallOptions): Promise<{ libvirt: Version; hypervisor: Version }> => {
      const [libvirt, hypervisor] = await Promise.all([
        connection.call(PROCEDURE.connectGetLibVersion, undefined, o),
        connection.call(PROCEDURE.connectGetVersion, undefined, o),
      ]);
      return { libvirt: version(libvirt), hypervisor: version(hypervisor) };
    },

    hostname: async (o?: CallOptions): Promise<string> =>
      await connection.call(PROCEDURE.connectGetHostname, undefined, o),
  };
}

/** libvirt packs 9.0.0 as 9,000,000. */
function version(packed: bigint): Version {
  const number = Number(packed);
  return {
    major: Math.floor(number / 1_000_000),
    minor: Math.floor(number / 1_000) % 1_000,
    release: number % 1_000,
  };
}
