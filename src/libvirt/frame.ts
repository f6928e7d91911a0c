import { HEADER_BYTES, MESSAGE_BYTES_MAX } from "./codec.ts";

/** The programs that share one connection, by the numbers that libvirt gave them. */
export const PROGRAM = { remote: 0x2000_8086, qemu: 0x2000_8087, keepalive: 0x6b65_6570 } as const;

/** Every program is at version 1 since its first release. */
export const PROGRAM_VERSION = 1;

export const FRAME_TYPE = { call: 0, reply: 1, event: 2, stream: 3 } as const;

export const FRAME_STATUS = { ok: 0, error: 1, continue: 2 } as const;

/** One message: what comes before the payload, and the payload, still undecoded. */
export type Frame = {
  readonly program: number;
  readonly version: number;
  readonly procedure: number;
  readonly type: number;
  readonly serial: number;
  readonly status: number;
  readonly payload: Buffer;
};

const LENGTH_BYTES = 4;
const PAYLOAD_AT = LENGTH_BYTES + HEADER_BYTES;
/** The length field counts itself, the protocol's limit does not. */
const FRAME_BYTES_MAX = MESSAGE_BYTES_MAX + LENGTH_BYTES;

/** Bytes that cannot begin a message. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

/** The bytes of one message, its length first. `encode` has seen to its size. */
export function encodeFrame(frame: Frame): Buffer {
  const length = PAYLOAD_AT + frame.payload.length;
  const bytes = Buffer.allocUnsafe(length);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt32BE(frame.program, 4);
  bytes.writeUInt32BE(frame.version, 8);
  bytes.writeInt32BE(frame.procedure, 12);
  bytes.writeInt32BE(frame.type, 16);
  bytes.writeUInt32BE(frame.serial, 20);
  bytes.writeInt32BE(frame.status, 24);
  bytes.set(frame.payload, PAYLOAD_AT);
  return bytes;
}

function decodeFrame(bytes: Buffer): Frame {
  return {
    program: bytes.readUInt32BE(4),
    version: bytes.readUInt32BE(8),
    procedure: bytes.readInt32BE(12),
    type: bytes.readInt32BE(16),
    serial: bytes.readUInt32BE(20),
    status: bytes.readInt32BE(24),
    payload: bytes.subarray(PAYLOAD_AT),
  };
}

/**
 * Cuts a byte stream into messages. Holds the bytes of at most one message and one read: memory follows what has come,
 * never what a length field promises, and a length over the limit is refused at once.
 */
export class FrameSplitter {
  /** What came of a message that is not complete yet. */
  #buffer = Buffer.alloc(0);
  #length = 0;

  /**
   * The messages that `piece` completes, in order. Their payloads share memory that the next piece overwrites. Throws
   * FrameError; the stream is then of no use any more.
   */
  *push(piece: Buffer): Generator<Frame> {
    let rest = this.#length === 0 ? piece : this.#append(piece);
    for (;;) {
      const length = nextLength(rest);
      if (length === undefined || rest.length < length) break;
      yield decodeFrame(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
    this.#keep(rest);
  }

  #append(piece: Buffer): Buffer {
    const end = this.#length + piece.length;
    if (end > this.#buffer.length) {
      const bigger = Buffer.alloc(Math.max(end, this.#buffer.length * 2));
      this.#buffer.copy(bigger, 0, 0, this.#length);
      this.#buffer = bigger;
    }
    this.#buffer.set(piece, this.#length);
    this.#length = end;
    return this.#buffer.subarray(0, end);
  }

  #keep(rest: Buffer): void {
    // Nothing was cut off and all of it is in our buffer already: the usual case while a long message comes in.
    if (rest.length === this.#length) return;
    this.#length = 0;
    if (rest.length === 0) this.#buffer = Buffer.alloc(0);
    else this.#append(rest);
  }
}

function nextLength(bytes: Buffer): number | undefined {
  if (bytes.length < LENGTH_BYTES) return undefined;
  const length = bytes.readUInt32BE(0);
  if (length < PAYLOAD_AT || length > FRAME_BYTES_MAX)
    throw new FrameError(`a message of ${length} bytes`);
  return length;
}
