import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A connection that says what no HTTP client would. */
export class RawHttp implements Disposable {
  readonly socket: Socket;
  #heard = "";
  #isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (piece) => {
      this.#heard += piece.toString("latin1");
    });
    socket.on("close", () => {
      this.#isClosed = true;
    });
    socket.on("error", () => undefined);
  }

  static async open(url: string): Promise<RawHttp> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    return new RawHttp(socket);
  }

  /** All that came so far. */
  get heard(): string {
    return this.#heard;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  say(...lines: readonly string[]): void {
    this.socket.write(lines.join("\r\n"));
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
