import { join } from "node:path";
import { UsageError } from "#cli/exit-code.ts";
import type { Config } from "#config/config.ts";
import type { ImagesConfig } from "#config/images-config.ts";
import { SshGuests } from "#host/guest/ssh-guests.ts";
import { LibvirtHypervisor } from "#host/hypervisor/libvirt-hypervisor.ts";
import type { ImagePlaces } from "#host/images/image-places.ts";
import { type LocalImages, localImages } from "#host/images/local-images.ts";
import type { Machines } from "#host/images/work.ts";
import { deriveDisk } from "#host/runner/derive-disk.ts";
import { MACHINE_FILES, machineFolder, readRecords } from "#host/runner/machine-record.ts";
import type { House } from "#host/runner/ports.ts";
import {
  NewerState,
  openStateFolder,
  STATE_NAMES,
  type StateFolder,
} from "#host/runner/state-folder.ts";
import { tryOut } from "#host/runner/try-out.ts";
import { Fault } from "#job/fault.ts";
import { type ImagesSettings, readImagesSettings } from "./images-settings.ts";

/** The recipes that ship with testbed. */
const SHIPPED_IMAGES = new URL("../../../images", import.meta.url).pathname;

/** Every room of the host, built from configuration. Disposing closes the connections to libvirt. */
export type OpenHouse = House & {
  readonly images: LocalImages;
  readonly places: ImagePlaces;
  readonly imagesConfig: ImagesConfig;
} & AsyncDisposable;

/**
 * Opens the house: makes the state folder when it is missing, and connects to nothing yet. `machines` are asked for instead
 * of this host's as they are. Throws host-path-closed, `UsageError`, `ConfigError`.
 */
export async function openHouse(
  config: Config,
  machines: Partial<Machines> = {},
): Promise<OpenHouse> {
  const state = await openState(config.stateFolder);
  const hypervisor = new LibvirtHypervisor(config.libvirtUri);
  const guests = new SshGuests();
  const { acceleration } = config;
  const settings = await readImagesSettings(config.imagesFile);
  const places = placesOf(config, state, settings);
  const images: LocalImages = localImages(places, {
    derive: (order, signal) => deriveDisk(house, acceleration, order, signal),
    tryOut: (image, onProgress, signal) => tryOut(house, acceleration, image, onProgress, signal),
    ...machines,
  });
  const house = { state, hypervisor, images, guests };
  return {
    ...house,
    places,
    imagesConfig: settings.config,
    [Symbol.asyncDispose]: () => hypervisor[Symbol.asyncDispose](),
  };
}

/** The images of this host alone, for commands that need nothing else of it. Throws like `openHouse`. */
export async function openCatalogue(config: Config): Promise<ImagePlaces> {
  const settings = await readImagesSettings(config.imagesFile);
  return placesOf(config, await openState(config.stateFolder), settings);
}

function placesOf(
  config: Config,
  state: StateFolder,
  { config: { limits }, sources }: ImagesSettings,
): ImagePlaces {
  const { download, disk } = limits;
  const diskOf = (machine: string) => join(machineFolder(state, machine), MACHINE_FILES.disk);
  return {
    store: join(state.path, STATE_NAMES.images),
    recipes: [...config.catalogueFolders, SHIPPED_IMAGES],
    sources,
    limits: { downloadMiB: download, diskMiB: disk },
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
