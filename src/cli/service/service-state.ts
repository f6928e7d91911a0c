import { join } from "node:path";

/** Every name that the job service's state folder may hold. */
export const SERVICE_NAMES = {
  /** Jobs, attempts, leases, hosts, tokens; its write-ahead log and its lock lie beside it. */
  database: "jobs.sqlite",
  /** Logs, inputs and artifacts. */
  files: "files",
  /** Held while something is removed, and while a backup is made. */
  upkeepLock: "upkeep.lock",
  /** Where the service always listens. */
  socket: "service.sock",
  /** What makes an admin of whoever can read it, through that socket; new at each start. */
  localSecret: "local-secret",
  /** Id and secret of the token of the host that this service is embedded in. */
  hostToken: "host-token",
} as const;

/** Where the service keeps what it knows: the folder that was named, else one below the state folder of this machine. */
export function serviceFolder(named: string | undefined, stateFolder: string): string {
  return named ?? join(stateFolder, "service");
}

/** Length of a lease: a restart of daemon or service fits inside. */
export const LEASE_SECONDS = 300;

/** The clocks of this machine. */
export const CLOCK = { monotonicMs: () => performance.now(), wallMs: () => Date.now() } as const;
