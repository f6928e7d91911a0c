import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { PassThrough, Transform } from "node:stream";

/** A wire that can be cut: a TCP proxy on 127.0.0.1 in front of a server there. */
export type Wire = {
  readonly port: number;
  /** Ends every connection that goes through, hard. */
  cut(): void;
  /** While it is on, new connections are taken and lead nowhere. */
  silence(isOn: boolean): void;
  /** From now on nothing comes through the connections that there are, and they stay open. */
  freeze(): void;
} & AsyncDisposable;

/** How much a wire carries in each direction of each connection; may change at any time. */
export type Pace = { bytesPerSecond: number };

/** Stretches one; without a pace it carries what it can. */
export async function stretchWire(serverPort: number, pace?: Pace): Promise<Wire> {
  const slowly = () => (pace === undefined ? new PassThrough() : throttle(pace));
  const sockets = new Set<Socket>();
  let isSilent = false;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
    return socket;
  };
  const server = createServer({ noDelay: true }, (near) => {
    keep(near);
    if (isSilent) {
      near.resume();
      return;
    }
    const far = keep(connect({ port: serverPort, host: "127.0.0.1", noDelay: true }));
    near.pipe(slowly()).pipe(far);
    far.pipe(slowly()).pipe(near);
    near.once("close", () => far.destroy());
    far.once("close", () => near.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: address.port,
    cut,
    silence: (isOn) => {
      isSilent = isOn;
    },
    freeze: () => {
      for (const socket of sockets) socket.unpipe();
    },
    [Symbol.asyncDispose]: async () => {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}

const SLICE_MS = 100;

/** Lets bytes through at a pace, a slice at a time. */
function throttle(pace: Pace): Transform {
  return new Transform({
    highWaterMark: 4096,
    transform(piece: Buffer, _encoding, done) {
      const from = (at: number) => {
        if (at >= piece.length) return done();
        const slice = Math.ceil((pace.bytesPerSecond * SLICE_MS) / 1000);
        const bytes = Math.min(piece.length - at, slice);
        this.push(piece.subarray(at, at + bytes));
        if (slice === Number.POSITIVE_INFINITY) done();
        else setTimeout(from, (bytes / pace.bytesPerSecond) * 1000, at + bytes);
      };
      from(0);
    },
  });
}
