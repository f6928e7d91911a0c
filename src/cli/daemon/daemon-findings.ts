import { checkDaemonConfig, type DaemonConfig } from "#config/daemon-config.ts";
import { scheduleProblem } from "#host/upkeep/schedule.ts";
import type { Finding } from "#job/quantity.ts";

/** What is wrong with a host's configuration that its schema cannot say: several keys at once, and cron expressions. */
export function daemonFindings(config: DaemonConfig): readonly Finding[] {
  const schedules = Object.entries(config.upkeep).flatMap(([key, text]) => {
    const says = isOff(key, text) ? undefined : scheduleProblem(text);
    return says === undefined ? [] : [{ path: ["upkeep", key], says }];
  });
  return [...checkDaemonConfig(config), ...schedules];
}

/** Only of the health check: the host keeps itself in order in any case. */
function isOff(key: string, text: string): boolean {
  return key === "health" && text === "off";
}
