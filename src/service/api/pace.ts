/** A follower looks so often even when it hears of no change: time ends leases and waiting jobs, too. */
export const LOOK_AGAIN_MS = 2000;

/** A stream on which nothing happens says so that often, so that proxies and the silence limit leave it alone. */
export const ALIVE_MS = 15_000;
