import { checkImagesConfig, type ImagesConfig } from "#config/images-config.ts";
import { scheduleProblem } from "#host/upkeep/schedule.ts";
import type { Finding } from "#job/quantity.ts";

/** What is wrong with a host's choice of images that its schema cannot say: several keys at once, cron expressions, time zones. */
export function imagesFindings(config: ImagesConfig): readonly Finding[] {
  const { schedule, timeZone } = config.refresh;
  const found = (key: string, says: string | undefined) =>
    says === undefined ? [] : [{ path: ["refresh", key], says }];
  return [
    ...checkImagesConfig(config),
    ...found("schedule", schedule === OFF ? undefined : scheduleProblem(schedule)),
    ...found("timeZone", timeZoneProblem(timeZone)),
  ];
}

/** Instead of a schedule: never by itself. */
const OFF = "off";

function timeZoneProblem(timeZone: string | undefined): string | undefined {
  try {
    new Intl.DateTimeFormat("en", { timeZone });
    return undefined;
  } catch {
    return `is '${timeZone}', which is no time zone; write such as Europe/Zurich or UTC`;
  }
}
