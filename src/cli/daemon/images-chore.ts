import { rulesOf } from "#cli/image/prune-options.ts";
import type { OpenHouse } from "#cli/this-host/house.ts";
import type { ImagesConfig } from "#config/images-config.ts";
import type { RefreshReport } from "#host/images/follow/refresh.ts";
import { prune } from "#host/images/store/prune.ts";
import { recoverStore } from "#host/images/store/recover.ts";
import { type Chore, few } from "#host/upkeep/chore.ts";
import { openSchedule } from "#host/upkeep/schedule.ts";
import type { Log } from "#lib/log.ts";

/** Many images over a slow line, each tried out in a machine. */
const LIMIT_MS = 12 * 3600_000;

/** The caretaker's work on images: follow the catalogues, fetch, inspect, try out, switch, and then prune. Undefined when it is off. */
export function imagesChore(
  { images, places }: Pick<OpenHouse, "images" | "places">,
  { refresh, prune: limits }: ImagesConfig,
  log: Log,
): Chore | undefined {
  if (refresh.schedule === "off") return undefined;
  return {
    name: "images",
    schedule: openSchedule(refresh.schedule, refresh.timeZone),
    isAtStart: false,
    limitMs: LIMIT_MS,
    run: async (signal) => {
      const onProgress = (detail: string) => log.debug("images", { detail });
      const progress = { onProgress, onBytes: () => undefined };
      const report = await images.refresh(refresh.images, progress, signal);
      const mended = await recoverStore(places.store, signal);
      const kept = { olderThanSeconds: limits.age, budgetMiB: limits.size, keep: limits.versions };
      const rules = rulesOf({ ...kept, pin: [] }, []);
      const removed: string[] = [];
      const onRemoved = ({ image }: { image: { digest: string } }) => removed.push(image.digest);
      const { freedBytes } = await prune(places, rules, { onRemoved, signal });
      const found = told(report);
      const isNews = Object.values(found).some((list) => list.length > 0) || removed.length > 0;
      return {
        isNews,
        fields: { ...found, mended: few(mended), removed: few(removed), freedBytes },
      };
    },
  };
}

/** What is worth a line: what changed, and what is wrong. */
function told({ catalogues, images, troubles }: RefreshReport) {
  const isBad = (outcome: string) => outcome === "failed" || outcome === "skipped";
  return {
    switched: few(images.filter(({ outcome }) => outcome === "switched").map(saying)),
    failed: few([
      ...images.filter(({ outcome }) => isBad(outcome)).map(saying),
      ...images
        .filter(({ outcome }) => !isBad(outcome))
        .flatMap(({ name, found }) => found.map((says) => `${name} ${says}`)),
    ]),
    catalogues: few(
      catalogues.flatMap((one) => ("why" in one ? [`${one.address}: ${one.why}`] : [])),
    ),
    troubles: few(troubles),
  };
}

function saying({ name, says }: { readonly name: string; readonly says: string }): string {
  return `${name} ${says}`;
}
