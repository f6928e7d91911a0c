/** How often to look whether the peer lives, and how many looks in a row may find nothing before it counts as dead. */
export type Keepalive = { readonly intervalMs: number; readonly missedMax: number };

/** What one look found: nothing to do, ask the peer, or give the connection up and why. */
export type Finding = "alive" | "ask" | { readonly dead: string };

/**
 * Decides from what came in whether the peer still lives. Two ways to be dead:
 *
 * - silent: nothing came, not even the answer to a ping. libvirtd stops reading a connection, pings included, while it
 *   works on as many calls as it allows, so silence proves nothing while our slots are all taken.
 * - wedged: all slots are taken by calls that nobody waits for any more, so that no call will ever get through.
 */
export class Pulse {
  readonly #missedMax: number;
  #heard = true;
  #silent = 0;
  #wedged = 0;

  constructor(missedMax: number) {
    this.#missedMax = missedMax;
  }

  /** A whole message came from the peer. */
  heard(): void {
    this.#heard = true;
  }

  /** Call it once per interval. `abandoned` counts those of the taken slots that nobody waits for. */
  look(slots: { taken: number; abandoned: number; max: number }): Finding {
    const isFull = slots.taken >= slots.max;
    this.#wedged = isFull && slots.abandoned === slots.taken ? this.#wedged + 1 : 0;
    this.#silent = this.#heard || isFull ? 0 : this.#silent + 1;
    this.#heard = false;
    if (this.#wedged > this.#missedMax)
      return { dead: `all ${slots.max} calls that libvirt works on were given up long ago` };
    if (this.#silent > this.#missedMax) return { dead: "libvirt stopped answering" };
    return isFull || this.#silent === 0 ? "alive" : "ask";
  }
}
