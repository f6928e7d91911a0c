import { UsageError } from "#cli/exit-code.ts";
import { imageFacts } from "#cli/image/image-facts.ts";
import { namedImages, pickImage } from "#cli/image/pick-image.ts";
import { rulesOf } from "#cli/image/prune-options.ts";
import type { OpenHouse } from "#cli/this-host/house.ts";
import type { ImagesConfig } from "#config/images-config.ts";
import { NotAsAsked } from "#host/api/local-api.ts";
import type { LocalRouteName } from "#host/api/local-routes.ts";
import { takeInventory } from "#host/images/store/inventory.ts";
import { planPrune, prune } from "#host/images/store/prune.ts";
import { repairStore } from "#host/images/store/repair.ts";
import { verifyStore } from "#host/images/store/verify.ts";
import { Fault } from "#job/fault.ts";
import type { Log } from "#lib/log.ts";

/** What the daemon's API on its own host does with images: the work of 'testbed image', in this process and with its machines. */
type ImageRoute = Extract<LocalRouteName, `images${string}`>;

type Handler = (body: never, signal: AbortSignal) => Promise<object>;

/** Which images a request is about. */
type Named = { readonly image: string };
type Limits = {
  readonly olderThanSeconds?: number;
  readonly budgetMiB?: number;
  readonly keep?: number;
  readonly dryRun?: boolean;
};

/** Long ones answer when they are done; who hangs up stops them. */
export function imageHandlers(
  { images, places }: OpenHouse,
  { prune: limits }: ImagesConfig,
  log: Log,
): Readonly<Record<ImageRoute, Handler>> {
  const onProgress = (detail: string) => log.debug("images", { detail });
  const progress = { onProgress, onBytes: () => undefined };
  const named = async () => namedImages(await takeInventory(places));
  const digestsOf = async (references: readonly string[]) => {
    const all = await named();
    return references.map((reference) => pickImage(all, reference).image.digest);
  };
  return mapped({
    images: async () => ({ images: await images.offered() }),
    imagesStored: async () => ({ images: (await named()).map(imageFacts) }),
    imagesShow: async ({ image }: Named) => imageFacts(pickImage(await named(), image)),
    imagesFetch: async ({ image }: Named, signal) => {
      const { name, version, digest } = await images.fetch(image, progress, signal);
      return { name, version, digest };
    },
    imagesSmoke: async ({ image }: Named, signal) => {
      const { image: tried, outcome, means } = await images.smoke(image, onProgress, signal);
      const { name, version, digest } = tried;
      return { name, version, digest, ...outcome, means };
    },
    imagesRefresh: async ({ images: names = [] }: { images?: string[] }, signal) =>
      await images.refresh(names, progress, signal),
    imagesVerify: async (
      { images: references, repair = false }: { images?: string[]; repair?: boolean },
      signal,
    ) => {
      const digests = references === undefined ? undefined : await digestsOf(references);
      const reading = { onBytes: () => undefined, signal };
      const damages = await verifyStore(places.store, digests, reading);
      return { damages, repaired: repair ? await repairStore(places, damages, signal) : [] };
    },
    imagesPrune: async (asked: Limits, signal) => {
      const rules = rulesOf(
        {
          olderThanSeconds: asked.olderThanSeconds ?? limits.age,
          budgetMiB: asked.budgetMiB ?? limits.size,
          keep: asked.keep ?? limits.versions,
          pin: [],
        },
        await named(),
      );
      const onRemoved = () => undefined;
      const { decisions, freedBytes, leftBytes } =
        asked.dryRun === true
          ? await planPrune(places, rules)
          : await prune(places, rules, { onRemoved, signal });
      const told = decisions.map(({ image, goes, why }) => ({ digest: image.digest, goes, why }));
      return { images: told, freedBytes, leftBytes };
    },
  });
}

/** What is wrong with a request is told to who asked, and not as a fault of the daemon's. */
function mapped<H extends Readonly<Record<ImageRoute, Handler>>>(handlers: H): H {
  const entries = Object.entries(handlers).map(([name, handle]: [string, Handler]) => {
    const asked: Handler = async (body, signal) =>
      await handle(body, signal).catch((error: unknown) => {
        const isAsked = error instanceof UsageError || error instanceof Fault;
        throw isAsked ? new NotAsAsked(error.message, { cause: error }) : error;
      });
    return [name, asked];
  });
  return Object.fromEntries(entries) as H;
}
