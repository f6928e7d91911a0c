import { cycles } from "./cycles.ts";
import { answerCalls } from "./helper.ts";
import { intake } from "./intake.ts";
import { lease } from "./lease.ts";
import { submit } from "./submit.ts";
import { untilLeased } from "./until-leased.ts";

/**
 * The simulated fleet: hosts that speak the real wire and whose machines take no time, and who submits to them. A process of
 * its own, see `helper.ts`.
 */
const FLEET = { submit, cycles, untilLeased, lease, intake } as const;

export type FleetCalls = typeof FLEET;

answerCalls(FLEET);
