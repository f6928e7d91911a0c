import type { CallOptions } from "./call.ts";
import type { Connection } from "./connection.ts";
import { flags } from "./flags.ts";
import { PROCEDURE } from "./protocol.ts";
import type { DomainRef } from "./protocol-values.ts";

/** Calls that wait for QEMU or for a disk get this long unless told otherwise: a probe of its capabilities can take 60 s. */
const SLOW_TIMEOUT_MS = 120_000;

/** How to start: paused; ended when this connection ends; from a fresh boot although a saved memory exists. */
export type CreateOptions = CallOptions & {
  readonly paused?: boolean;
  readonly autodestroy?: boolean;
  readonly forceBoot?: boolean;
};

/** `running` or `paused` say how the restored domain is to go on; neither means as it was when saved. */
export type SaveOptions = CallOptions & {
  readonly xml?: string;
  readonly running?: boolean;
  readonly paused?: boolean;
  readonly bypassCache?: boolean;
};

/** Libvirt's calls that start, stop, freeze and thaw domains. */
export function domainPowerCalls(connection: Connection) {
  return {
    /** Starts a defined domain; VIR_ERR_OPERATION_INVALID when it runs already. Gives it with its id. Slow call. */
    create: async (domain: DomainRef, o?: CreateOptions): Promise<DomainRef> => {
      const bits = flags([o?.paused, 1], [o?.autodestroy, 2], [o?.forceBoot, 8]);
      const args = { domain, flags: bits };
      return await connection.call(PROCEDURE.domainCreateWithFlags, args, slow(o));
    },

    /**
     * Ends a domain at once: SIGTERM, then SIGKILL; `graceful` leaves the second out and fails instead. Twice fails with
     * VIR_ERR_OPERATION_INVALID. Takes 10 s when QEMU hangs. Slow call.
     */
    destroy: async (
      domain: DomainRef,
      o?: CallOptions & { readonly graceful?: boolean },
    ): Promise<void> => {
      const args = { domain, flags: flags([o?.graceful, 1]) };
      await connection.call(PROCEDURE.domainDestroyFlags, args, slow(o));
    },

    /** Stops the virtual CPUs. */
    suspend: async (domain: DomainRef, o?: CallOptions): Promise<void> =>
      await connection.call(PROCEDURE.domainSuspend, domain, o),

    /** Lets them run again. */
    resume: async (domain: DomainRef, o?: CallOptions): Promise<void> =>
      await connection.call(PROCEDURE.domainResume, domain, o),

    /** Writes memory and state to a file on libvirt's host and ends the domain. Slow call. */
    save: async (domain: DomainRef, to: string, o?: SaveOptions): Promise<void> => {
      const args = { domain, to, xml: o?.xml, flags: saveFlags(o) };
      await connection.call(PROCEDURE.domainSaveFlags, args, slow(o));
    },

    /** Starts the domain that a file holds; `xml` replaces the file's, within what the memory allows. Slow call. */
    restore: async (from: string, o?: SaveOptions): Promise<void> => {
      const args = { from, xml: o?.xml, flags: saveFlags(o) };
      await connection.call(PROCEDURE.domainRestoreFlags, args, slow(o));
    },
  };
}

function slow(options: CallOptions | undefined): CallOptions {
  return { signal: options?.signal, timeoutMs: options?.timeoutMs ?? SLOW_TIMEOUT_MS };
}

function saveFlags(options: SaveOptions | undefined): number {
  return flags([options?.bypassCache, 1], [options?.running, 2], [options?.paused, 4]);
}
