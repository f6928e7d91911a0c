import { statfs } from "node:fs/promises";
import type { DaemonConfig } from "#config/daemon-config.ts";
import { LOCAL_SOCKET } from "#host/api/local-routes.ts";
import type { Daemon } from "#host/daemon/daemon.ts";
import type { StateFolder } from "#host/runner/state-folder.ts";
import { openEvidence } from "#host/state/evidence.ts";
import { openStateCheck } from "#host/state/state-check.ts";
import { Caretaker } from "#host/upkeep/caretaker.ts";
import { checkState } from "#host/upkeep/check-state.ts";
import { type Chore, type ChoreName, type ChoreNumbers, few } from "#host/upkeep/chore.ts";
import { relieveDisk } from "#host/upkeep/disk-relief.ts";
import { retainEvidence } from "#host/upkeep/evidence-retention.ts";
import type { Disk, Evidence, StateCheck } from "#host/upkeep/ports.ts";
import { openSchedule, type Schedule } from "#host/upkeep/schedule.ts";
import { Spool } from "#host/upkeep/spool.ts";
import type { Log } from "#lib/log.ts";
import { Steadiness } from "#lib/steadiness.ts";

/** What of a host's configuration the caretaker goes by. */
export type UpkeepConfig = Pick<DaemonConfig, "upkeep" | "evidence" | "capacity">;

/** Nothing is too old so soon after a start or a jump of the wall clock: many a host boots with a wrong one. */
const HOLD_MS = 15 * 60_000;

const MINUTE_MS = 60_000;
const MIB = 2 ** 20;

/** The caretaker of a host, and what it sees. */
export type HostUpkeep = AsyncDisposable & { numbers(): Promise<HostUpkeepNumbers> };

export type HostUpkeepNumbers = {
  readonly chores: readonly ChoreNumbers[];
  readonly spooled: Spool["bytes"];
  readonly diskFreeBytes: number;
};

/** What the caretaker has of the daemon beside whose work it does its own. */
type Host = Pick<Daemon, "sweep" | "checkHealth" | "atWork">;

/** What lies in the state folder beside what the host's own rooms put there: the socket, and the folder of a service inside. */
const OTHERS = [LOCAL_SOCKET, "service"] as const;

/** The host whose state folder this is, kept in order until it is disposed. `more` are chores beside those of the state folder. */
export function keepHostInOrder(
  daemon: Host,
  folder: StateFolder,
  config: UpkeepConfig,
  log: Log,
  more: readonly Chore[] = [],
): HostUpkeep {
  const { path } = folder;
  const disk = {
    freeBytes: async () => {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    },
  };
  const evidence = openEvidence(path);
  const spool = new Spool(evidence);
  const rooms = { disk, evidence, spool, state: openStateCheck(folder, OTHERS) };
  const caretaker = new Caretaker([...choresOf(daemon, rooms, config), ...more], log);
  return {
    numbers: async () => ({
      chores: caretaker.numbers,
      spooled: spool.bytes,
      diskFreeBytes: await disk.freeBytes(),
    }),
    [Symbol.asyncDispose]: () => caretaker[Symbol.asyncDispose](),
  };
}

type Rooms = {
  readonly disk: Disk;
  readonly evidence: Evidence;
  readonly spool: Spool;
  readonly state: StateCheck;
};

/** Each chore: when, for how long at most, and what it does. */
function choresOf(
  daemon: Host,
  { disk, evidence, spool, state }: Rooms,
  { upkeep, evidence: kept, capacity }: UpkeepConfig,
): readonly Chore[] {
  const clocks = { monotonicMs: () => performance.now(), wallMs: () => Date.now() };
  const steadiness = new Steadiness(clocks, HOLD_MS);
  const marks = { reserveBytes: capacity.diskReserve * MIB, lowBytes: capacity.diskLow * MIB };
  const retention = { ageMs: kept.age * 1000, bytesMax: kept.size * MIB };
  const chore = (
    name: ChoreName & keyof typeof upkeep,
    more: Pick<Chore, "isAtStart" | "limitMs" | "run">,
  ): Chore => ({ name, schedule: openSchedule(upkeep[name]), ...more });
  return [
    chore("sweep", {
      // The daemon's own start does it.
      isAtStart: false,
      limitMs: 5 * MINUTE_MS,
      run: async (signal) => {
        const { swept, failed, standing } = await daemon.sweep(signal);
        const fields = { standing: standing.length, swept: few(swept), failed: failed.length };
        return { isNews: swept.length + failed.length > 0, fields };
      },
    }),
    chore("disk", {
      isAtStart: true,
      limitMs: 10 * MINUTE_MS,
      run: async (signal) => {
        const report = await relieveDisk({ disk, evidence }, marks, signal);
        await spool.look(signal);
        return report;
      },
    }),
    chore("evidence", {
      isAtStart: false,
      limitMs: 30 * MINUTE_MS,
      run: (signal) => retainEvidence({ evidence, steadiness }, retention, signal),
    }),
    chore("state", {
      isAtStart: false,
      limitMs: 30 * MINUTE_MS,
      run: (signal) =>
        checkState({ state, evidence, steadiness, atWork: () => daemon.atWork }, signal),
    }),
    ...(upkeep.health === "off" ? [] : [health(daemon, openSchedule(upkeep.health))]),
  ];
}

function health(daemon: Host, schedule: Schedule): Chore {
  return {
    name: "health",
    schedule,
    isAtStart: false,
    limitMs: 15 * MINUTE_MS,
    run: async (signal) => {
      const { kind: host, ...fields } = await daemon.checkHealth(signal);
      return { isNews: true, fields: { host: HOST_IN_WORDS[host], ...fields } };
    },
  };
}

const HOST_IN_WORDS = { passed: "healthy", failed: "unhealthy", skipped: "not looked at" } as const;
