import { join } from "node:path";
import { UsageError } from "#cli/exit-code.ts";
import type { Config } from "#config/config.ts";
import { SshGuests } from "#host/guest/ssh-guests.ts";
import { LibvirtHypervisor } from "#host/hypervisor/libvirt-hypervisor.ts";
import type { ImagePlaces } from "#host/images/image-places.ts";
import { type LocalImages, localImages } from "#host/images/local-images.ts";
import { deriveDisk } from "#host/runner/derive-disk.ts";
import { MACHINE_FILES, machineFolder, readRecords } from "#host/runner/machine-record.ts";
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
  const guests = new SshGuests();
  const images: LocalImages = localImages(catalogueOf(config, state), (order, signal) =>
    deriveDisk({ state, hypervisor, images, guests }, config.acceleration, order, signal),
  );
  return {
    state,
    hypervisor,
    images,
    guests,
    [Symbol.asyncDispose]: () => hypervisor[Symbol.asyncDispose](),
  };
}

/** The images of this host alone, for commands that need nothing else of it. Throws like `openHouse`. */
export async function openCatalogue(config: Config): Promise<ImagePlaces> {
  return catalogueOf(config, await openState(config.stateFolder));
}

function catalogueOf(config: Config, state: StateFolder): ImagePlaces {
  const diskOf = (machine: string) => join(machineFolder(state, machine), MACHINE_FILES.disk);
  return {
    store: join(state.path, STATE_NAMES.images),
    recipes: [...config.catalogueFolders, SHIPPED_IMAGES],
    listDisks: async () =>
      (await readRecords(state)).map(({ name }) => ({ machine: name, path: diskOf(name) })),
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
