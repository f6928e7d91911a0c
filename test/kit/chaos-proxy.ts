import { rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** Where to listen or to lead: a port of this machine, or a Unix socket. */
export type Place = { readonly port: number } | { readonly path: string };

/** What a network does to what comes back from the server, from now on and on all connections. */
export type Weather =
  | { readonly kind: "clear" }
  /** Connections are made, and nothing goes through in either way. */
  | { readonly kind: "silent" }
  /** Questions go through, answers do not. */
  | { readonly kind: "deaf" }
  /** Nobody listens. */
  | { readonly kind: "refused" }
  | { readonly kind: "slow"; readonly delayMs: number }
  /** So many bytes at a time, and a pause. */
  | { readonly kind: "trickle"; readonly bytes: number; readonly everyMs: number }
  /** After so many bytes of answers the connection is reset, or ends in that way as if nothing more were to come. */
  | { readonly kind: "reset" | "truncated"; readonly afterBytes: number };

type Pair = { readonly client: Socket; readonly server: Socket; answered: number };

/** A TCP proxy that is a bad network. It begins clear. */
export class ChaosProxy implements AsyncDisposable {
  weather: Weather = { kind: "clear" };
  readonly #behind: Place;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();

  private constructor(behind: Place) {
    this.#behind = behind;
    // A half-closed connection is half closed on both sides.
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#join(client));
  }

  /** Listens at a place, `{ port: 0 }` for any port, for what is to reach the server behind. */
  static async open(at: Place, behind: Place): Promise<ChaosProxy> {
    const proxy = new ChaosProxy(behind);
    if ("path" in at) await rm(at.path, { force: true });
    const where = "path" in at ? at : { ...at, host: "127.0.0.1" };
    await new Promise<void>((done) => proxy.#server.listen(where, done));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Resets all connections that there are. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((done) => this.#server.close(done));
  }

  #join(client: Socket): void {
    if (this.weather.kind === "refused") {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ ...whole(this.#behind), allowHalfOpen: true });
    const pair = { client, server, answered: 0 };
    this.#pairs.add(pair);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.on("close", () => {
        this.#pairs.delete(pair);
        other.destroy();
      });
    }
    for (const way of [this.#ask(pair), this.#answer(pair)])
      way.catch(() => {
        client.destroy();
        server.destroy();
      });
  }

  async #ask({ client, server }: Pair): Promise<void> {
    for await (const bytes of client as AsyncIterable<Buffer>) {
      await this.#whileIs("silent", client);
      await write(server, bytes);
    }
    server.end();
  }

  async #answer(pair: Pair): Promise<void> {
    const { client, server } = pair;
    for await (const bytes of server as AsyncIterable<Buffer>) {
      await this.#whileIs("silent", client);
      if (!(await this.#deliver(pair, bytes))) return;
    }
    client.end();
  }

  /** False when nothing more is to come. */
  async #deliver(pair: Pair, bytes: Buffer): Promise<boolean> {
    const { client } = pair;
    const { weather } = this;
    if (weather.kind === "deaf") return true;
    if (weather.kind === "slow") await delay(weather.delayMs);
    if (weather.kind === "trickle") return await this.#trickle(client, bytes);
    if (weather.kind === "reset" || weather.kind === "truncated") {
      const left = weather.afterBytes - pair.answered;
      if (bytes.length >= left) {
        await write(client, bytes.subarray(0, Math.max(left, 0)));
        if (weather.kind === "reset") client.resetAndDestroy();
        else client.end();
        return false;
      }
    }
    pair.answered += bytes.length;
    await write(client, bytes);
    return true;
  }

  async #trickle(client: Socket, bytes: Buffer): Promise<boolean> {
    let sent = 0;
    while (sent < bytes.length) {
      const { weather } = this;
      const piece = weather.kind === "trickle" ? weather.bytes : bytes.length;
      await write(client, bytes.subarray(sent, sent + piece));
      sent += piece;
      if (weather.kind === "trickle") await delay(weather.everyMs);
    }
    return true;
  }

  async #whileIs(kind: Weather["kind"], client: Socket): Promise<void> {
    while (this.weather.kind === kind && !client.destroyed) await delay(20);
  }
}

function whole(place: Place) {
  return "path" in place ? place : { ...place, host: "127.0.0.1" };
}

async function write(socket: Socket, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) return;
  if (socket.destroyed) throw new Error("the other side is gone");
  if (socket.write(bytes)) return;
  await new Promise<void>((done) => {
    socket.once("drain", done);
    socket.once("close", done);
  });
}
