import { join } from "node:path";
import { openAttemptBook } from "#host/state/attempt-folders.ts";
import { DurableGuests } from "#test/fakes/durable-guests.ts";
import { DurableHypervisor } from "#test/fakes/durable-hypervisor.ts";
import { FakeImages } from "#test/fakes/fake-images.ts";
import { crashingBook, crashPointOf } from "./crash-points.ts";
import { daemonOver } from "./paper-daemon.ts";

/**
 * A daemon over machines on paper, as a process of its own, to be stopped and killed: run-paper-daemon.ts HOST STATE URL TOKEN
 * [before:N|after:N]. Machines and what runs in them outlive it. SIGTERM stops it as it stops `testbed daemon`; with a crash point it
 * kills itself there.
 */
const [host = "", state = "", url = "", token = "", crash] = process.argv.slice(2);
const machines = join(state, "paper-machines");
const rooms = {
  hypervisor: new DurableHypervisor(machines),
  guests: new DurableGuests(machines),
  images: new FakeImages(),
};
const point = crashPointOf(crash);
const book = await openAttemptBook(state);
const changes = {
  ...(point === undefined ? {} : { book: crashingBook(book, point) }),
  die: () => process.exit(74),
};
const paper = await daemonOver(rooms, { host, state, url, token }, changes);
process.on("SIGTERM", () => paper.stop());
process.stdout.write("ready\n");
await paper.run();
process.exit(0);
