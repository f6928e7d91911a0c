import { Fault, type FaultCode } from "#job/fault.ts";
import { LibvirtConnectionError, LibvirtError, LibvirtTimeoutError } from "#libvirt/error.ts";

/** What a user can do about a libvirt that does not answer. */
const START_HINT =
  "Start it with `systemctl start libvirtd`, or, where there is no systemd, with `sh setup/libvirt start`; `testbed doctor` shows more.";

/**
 * Runs a piece of work on libvirt and turns what it throws into a fault: an answer that is an error becomes `refused`,
 * silence and broken connections become libvirt-unreachable. The attempt's own end goes through untouched.
 */
export async function translating<T>(
  {
    doing,
    refused,
    signal,
  }: { doing: string; refused: FaultCode; signal?: AbortSignal | undefined },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw faultOf(error, doing, refused);
  }
}

function faultOf(error: unknown, doing: string, refused: FaultCode): unknown {
  if (error instanceof LibvirtError) {
    return new Fault(refused, `libvirt refused ${doing}: ${error.message}`, {
      cause: error,
      evidence: { libvirtCode: error.codeName, libvirtDomain: error.domainName },
    });
  }
  if (error instanceof LibvirtTimeoutError || error instanceof LibvirtConnectionError) {
    return new Fault("libvirt-unreachable", `${doing}: ${error.message}. ${START_HINT}`, {
      cause: error,
    });
  }
  return error;
}
