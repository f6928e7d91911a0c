import { join } from "node:path";
import { UsageError } from "#cli/exit-code.ts";
import type { Config } from "#config/config.ts";
import { SshGuests } from "#host/guest/ssh-guests.ts";
import { LibvirtHypervisor } from "#host/hypervisor/libvirt-hypervisor.ts";
import { type LocalImages, localImages } from "#host/images/local-images.ts";
import type { House } from "#host/runner/ports.ts";
import {
  NewerState,
  openStateFolder,
  STATE_NAMES,
  type StateFolder,
} from "#host/runner/state-folder.ts";
import { Fault } from "#job/fault.ts";

/** The recipes that ship with testbed. */
const SHIPPED_IMAGES = new URL("../../../images", import.meta.url).pathname;

/** Every room of the host, built from configuration. Disposing closes the connections to libvirt. */
export type OpenHouse = House & { readonly images: LocalImages } & AsyncDisposable;

/** Opens the house: makes the state folder when it is missing, and connects to nothing yet. Throws host-path-closed, `UsageError`. */
export async function openHouse(config: Config): Promise<OpenHouse> {
  const state = await openState(config.stateFolder);
  const hypervisor = new LibvirtHypervisor(config.libvirtUri);
  const images = localImages({
    store: join(state.path, STATE_NAMES.images),
    recipes: [...config.catalogueFolders, SHIPPED_IMAGES],
  });
  return {
    state,
    hypervisor,
    images,
    guests: new SshGuests(),
    [Symbol.asyncDispose]: () => hypervisor[Symbol.asyncDispose](),
  };
}

async function openState(path: string): Promise<StateFolder> {
  try {
    return await openStateFolder(path);
  } catch (error) {
    if (error instanceof NewerState) throw new UsageError(error.message);
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined || error instanceof Fault) throw error;
    throw new Fault(
      code === "ENOSPC" ? "host-disk-full" : "host-path-closed",
      `the state folder ${path} cannot be used: ${message}. Run as root, or set TESTBED_STATE to a folder of yours`,
      { cause: error, stage: "state folder" },
    );
  }
}
