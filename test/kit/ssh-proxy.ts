import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

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

export async function stretchWire(serverPort: number): Promise<Wire> {
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
    near.pipe(far).pipe(near);
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
