import { connect, type Socket } from "node:net";

/** Four times what Node allocates for a read: fewer reads, and fewer packets that lie in two of them. */
const READ_BYTES = 256 * 1024;

const lending = new WeakSet<Socket>();

/**
 * Connects to an address and port. Each read lands in the same memory, since a transfer otherwise leaves as much garbage behind
 * as it is long; until `lendReads` the "data" event hands out copies.
 */
export function connectFrugally(at: { readonly host: string; readonly port: number }): Socket {
  const socket: Socket = connect({
    ...at,
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafe(READ_BYTES),
      callback: (bytes, buffer) => {
        const read = Buffer.from(buffer.buffer, buffer.byteOffset, bytes);
        socket.emit("data", lending.has(socket) ? read : Buffer.from(read));
        // Whoever wants no more has paused the socket.
        return true;
      },
    },
  });
  return socket;
}

/** From now on what "data" hands out is valid only until its listeners return. Twice is safe. */
export function lendReads(socket: Socket): void {
  lending.add(socket);
}
