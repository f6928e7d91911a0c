import type { PartOrder } from "./part.ts";
import type { Finding } from "./report.ts";
import { measureCycles } from "./service/measure-cycles.ts";
import { measureIdle } from "./service/measure-idle.ts";
import { measureIntake } from "./service/measure-intake.ts";
import { measureQueue } from "./service/measure-queue.ts";
import { measureWaiting } from "./service/measure-waiting.ts";
import { type Room, startFleet } from "./service/room.ts";

const MEASURE: Readonly<Record<string, (room: Room) => Promise<Finding>>> = {
  "an idle service": measureIdle,
  "lease and verdict": measureCycles,
  "from submit to lease": measureWaiting,
  "log intake": measureIntake,
  "the length of the queue": measureQueue,
};

/** The real service, started as people start it, each time on a new state folder, and simulated hosts. */
export async function measureService(order: PartOrder): Promise<void> {
  for (const [name, measure] of Object.entries(MEASURE)) {
    order.say(name);
    await using scope = new AsyncDisposableStack();
    order.onFinding(await measure({ ...order, scope, fleet: startFleet(scope) }));
  }
}
