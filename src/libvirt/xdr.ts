/** Bytes that are not what their description says, or a value that cannot be written as its description says. */
export class XdrError extends Error {
  override readonly name = "XdrError";
}

const WORD = 4;

/** Writes the primitives of XDR (RFC 4506) into a buffer that grows up to `bytesMax`. */
export class XdrWriter {
  readonly #bytesMax: number;
  #buffer = Buffer.alloc(256);
  #at = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Signed 32-bit integer; also every enum. Throws XdrError when out of range, as do all below. */
  i32(value: number): void {
    if (!Number.isInteger(value) || value < -0x8000_0000 || value > 0x7fff_ffff)
      throw new XdrError(`${value} is no 32-bit integer`);
    const at = this.#grow(WORD);
    this.#buffer.writeInt32BE(value, at);
  }

  u32(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
      throw new XdrError(`${value} is no unsigned 32-bit integer`);
    const at = this.#grow(WORD);
    this.#buffer.writeUInt32BE(value, at);
  }

  i64(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw new XdrError(`${value} is no 64-bit integer`);
    const at = this.#grow(2 * WORD);
    this.#buffer.writeBigInt64BE(value, at);
  }

  u64(value: bigint): void {
    if (BigInt.asUintN(64, value) !== value)
      throw new XdrError(`${value} is no unsigned 64-bit integer`);
    const at = this.#grow(2 * WORD);
    this.#buffer.writeBigUInt64BE(value, at);
  }

  f64(value: number): void {
    const at = this.#grow(2 * WORD);
    this.#buffer.writeDoubleBE(value, at);
  }

  /** Bytes without their length, padded with zeros to a multiple of four. */
  fixed(value: Uint8Array): void {
    const at = this.#grow(padded(value.length));
    this.#buffer.set(value, at);
  }

  /** What was written so far. The writer must not be used afterwards. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  #grow(bytes: number): number {
    const at = this.#at;
    const end = at + bytes;
    if (end > this.#bytesMax)
      throw new XdrError(`a message is longer than ${this.#bytesMax} bytes`);
    if (end > this.#buffer.length) {
      const bigger = Buffer.alloc(Math.max(end, this.#buffer.length * 2));
      this.#buffer.copy(bigger, 0, 0, at);
      this.#buffer = bigger;
    }
    this.#at = end;
    return at;
  }
}

/** Reads the primitives of XDR from bytes that somebody else wrote. Never reads past the end; throws XdrError only. */
export class XdrReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#buffer = bytes;
  }

  get remaining(): number {
    return this.#buffer.length - this.#at;
  }

  i32(): number {
    return this.#buffer.readInt32BE(this.#take(WORD));
  }

  u32(): number {
    return this.#buffer.readUInt32BE(this.#take(WORD));
  }

  i64(): bigint {
    return this.#buffer.readBigInt64BE(this.#take(2 * WORD));
  }

  u64(): bigint {
    return this.#buffer.readBigUInt64BE(this.#take(2 * WORD));
  }

  f64(): number {
    return this.#buffer.readDoubleBE(this.#take(2 * WORD));
  }

  /** `length` bytes and their padding, which must be zeros. The result shares memory with the message. */
  fixed(length: number): Buffer {
    const at = this.#take(padded(length));
    for (let i = at + length; i < this.#at; i += 1)
      if (this.#buffer[i] !== 0) throw new XdrError("padding is not zero");
    return this.#buffer.subarray(at, at + length);
  }

  /** Throws when the message has bytes that its description does not. */
  end(): void {
    if (this.remaining !== 0) throw new XdrError(`${this.remaining} bytes too many`);
  }

  #take(bytes: number): number {
    if (bytes > this.remaining)
      throw new XdrError(`${bytes} bytes expected, ${this.remaining} left`);
    const at = this.#at;
    this.#at += bytes;
    return at;
  }
}

function padded(length: number): number {
  return Math.ceil(length / WORD) * WORD;
}
