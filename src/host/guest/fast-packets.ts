import { createSecretKey, KeyObject } from "node:crypto";
import type { Socket } from "node:net";
import type { Client } from "ssh2";

/**
 * Puts all that is written to a socket within one turn of the event loop into one system call. ssh2 writes each packet in
 * three parts, which without Nagle's algorithm are three segments on the wire.
 */
export function gatherWrites(socket: Socket): void {
  const write = socket.write.bind(socket) as (data: Uint8Array) => boolean;
  let isCorked = false;
  const flush = () => {
    isCorked = false;
    socket.uncork();
  };
  // ssh2 gives bytes and nothing else.
  socket.write = (data: Uint8Array | string) => {
    if (!isCorked) {
      isCorked = true;
      socket.cork();
      process.nextTick(flush);
    }
    return write(data as Uint8Array);
  };
}

/**
 * Whether each byte that is read is decrypted before ssh2 keeps it: so with AES-GCM, while its other ciphers keep a packet
 * that waits for its checksum as it came. Ask after each key exchange, and after `keepKeyObjects`.
 */
export function decryptsAtOnce(client: Client): boolean {
  const { _protocol } = client as unknown as { _protocol?: { _decipher?: Keys } };
  return _protocol?._decipher?._decipherKey instanceof KeyObject;
}

type Keys = { _encKey?: Buffer | KeyObject; _decipherKey?: Buffer | KeyObject };

/**
 * Lets AES-GCM keep its keys as key objects. ssh2 makes a new cipher of the raw key for each packet, and node:crypto then
 * spends more time on wrapping the key than on encrypting 32 KiB. These are ssh2's own fields, of the version that is
 * pinned; where they are not found, nothing changes. Call it after each key exchange.
 */
export function keepKeyObjects(client: Client): void {
  const { _protocol } = client as unknown as { _protocol?: { _cipher?: Keys; _decipher?: Keys } };
  const { _cipher: out, _decipher: into } = _protocol ?? {};
  if (Buffer.isBuffer(out?._encKey)) out._encKey = createSecretKey(out._encKey);
  if (Buffer.isBuffer(into?._decipherKey)) into._decipherKey = createSecretKey(into._decipherKey);
}
