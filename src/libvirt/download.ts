/** A stream was longer than its reader allows, and was given up. */
export class LibvirtStreamError extends Error {
  override readonly name = "LibvirtStreamError";
}

/** What may still be under way when we give a stream up: socket buffers, and what libvirtd has queued. */
const SWALLOWED_BYTES_MAX = 64 * 1024 * 1024;

/**
 * The stream that follows the reply to a call, gathered up to `bytesMax`. libvirt sends packets of data and an empty one at
 * the end; we confirm, libvirt confirms, and the stream is over. Data is copied together at once: a peer that sends it byte
 * by byte must not make us keep a read buffer for each.
 */
export class Download {
  /** `finishing` and `aborting` wait for libvirt's confirmation; what still comes is swallowed. */
  #state: "flowing" | "finishing" | "aborting" = "flowing";
  readonly #bytesMax: number;
  #buffer = Buffer.alloc(0);
  #length = 0;
  #swallowed = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Takes one packet; true when it was the last. Throws LibvirtStreamError when there is more than allowed, and another
   * error when it goes on although it is over or was given up.
   */
  take(packet: Buffer): boolean {
    if (this.#state !== "flowing") return this.#swallow(packet);
    if (packet.length === 0) {
      this.#state = "finishing";
      return true;
    }
    const end = this.#length + packet.length;
    if (end > this.#bytesMax)
      throw new LibvirtStreamError(`a stream is longer than ${this.#bytesMax} bytes`);
    if (end > this.#buffer.length) {
      const bigger = Buffer.alloc(Math.min(this.#bytesMax, Math.max(end, this.#buffer.length * 2)));
      this.#buffer.copy(bigger, 0, 0, this.#length);
      this.#buffer = bigger;
    }
    this.#buffer.set(packet, this.#length);
    this.#length = end;
    return false;
  }

  #swallow(packet: Buffer): false {
    this.#swallowed += packet.length;
    if (this.#swallowed > SWALLOWED_BYTES_MAX) throw new Error("a stream that does not end");
    return false;
  }

  /** Nobody wants it any more. True when it was still flowing, so that libvirt has to be told. */
  abort(): boolean {
    const wasFlowing = this.#state === "flowing";
    if (wasFlowing) this.#state = "aborting";
    this.#buffer = Buffer.alloc(0);
    this.#length = 0;
    return wasFlowing;
  }

  /** True until the end of it came, or it was given up: only then may libvirt confirm. */
  get isFlowing(): boolean {
    return this.#state === "flowing";
  }

  /** What was gathered. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}
