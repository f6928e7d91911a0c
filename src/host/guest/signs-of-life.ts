import type { Socket } from "node:net";
import type { Client } from "ssh2";

const AT_MOST_EVERY_MS = 1000;

/**
 * Lets everything that comes from the guest count as a sign of life. ssh2 hears only answers to its keepalives and to
 * requests, and on a slow link a keepalive waits behind megabytes of an input that the guest is taking all the while. The
 * method is ssh2's own, of the version that is pinned; where it is not found, nothing changes. Call it after the login.
 */
export function hearSignsOfLife(client: Client, socket: Socket): void {
  const inner = client as unknown as { _resetKA?: () => void };
  let heardAtMs = performance.now();
  socket.on("data", () => {
    const now = performance.now();
    if (now - heardAtMs < AT_MOST_EVERY_MS) return;
    heardAtMs = now;
    inner._resetKA?.();
  });
}
