/** What the room can be told; all values, no environment. */
export type GuestOptions = {
  readonly port: number;
  /** The runner's folder in the guest, in memory: small files only. */
  readonly stateFolder: string;
  /** Steps' logs in the guest, on disk. */
  readonly logFolder: string;
  /** Exists in the guest when its start-up is over; our images make it. */
  readonly settledFile: string;
  /** How much longer an emulated machine may take than one under KVM. */
  readonly emulationFactor: number;
  /** Whoever connects to a machine that started long ago still gives each requirement this long. */
  readonly floorSeconds: number;
  /** From the first byte of an SSH connection to the login; emulation multiplies it. */
  readonly handshakeSeconds: number;
  /** A wrong host key or a refused login may be a server that start-up replaces in a moment; emulation multiplies it. */
  readonly graceSeconds: number;
  /** No answer at all for so long after a connection is lost: the guest is unreachable. */
  readonly unreachableSeconds: number;
  /** The guest lives but its SSH server refuses for so long: it is gone. */
  readonly sshdGoneSeconds: number;
  /** Beyond a step's own limit, before the host stops believing that the guest enforces it. */
  readonly slackSeconds: number;
  /** For stopping a cancelled step and bringing the rest of its log home. */
  readonly stopSeconds: number;
  /** A transfer that moves nothing for so long has failed. */
  readonly stallSeconds: number;
  readonly caps: CollectionCaps;
};

/** What one collection may bring home at most. */
export type CollectionCaps = {
  readonly files: number;
  readonly fileBytes: number;
  readonly totalBytes: number;
  /** Refusals that are listed one by one; the rest are counted. */
  readonly refusals: number;
};

export const GUEST_DEFAULTS: GuestOptions = {
  port: 22,
  stateFolder: "/run/testbed",
  logFolder: "/var/tmp/testbed",
  settledFile: "/run/testbed-settled",
  // A Debian 12 that answers SSH in about 10 s under KVM takes 58 to 87 s emulated on two busy cores.
  emulationFactor: 8,
  floorSeconds: 5,
  handshakeSeconds: 10,
  graceSeconds: 3,
  unreachableSeconds: 60,
  sshdGoneSeconds: 15,
  slackSeconds: 30,
  stopSeconds: 15,
  stallSeconds: 60,
  caps: {
    files: 10_000,
    fileBytes: 2 * 1024 ** 3,
    totalBytes: 8 * 1024 ** 3,
    refusals: 100,
  },
};
