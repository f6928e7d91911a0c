import { once } from "node:events";
import { connect, type NetConnectOpts, type Socket } from "node:net";

/** What came back for a request. */
export type Answer = { readonly status: number; readonly body: Buffer };

/** A request without its connection's own headers. */
export type Request = {
  readonly method: "GET" | "POST" | "PUT";
  readonly path: string;
  readonly type?: "application/json" | "application/octet-stream";
  readonly body?: string | Buffer;
};

const HEAD_END = "\r\n\r\n";
const NOTHING = Buffer.alloc(0);

/**
 * One connection to an HTTP server that stays open, with one request at a time on it. By hand, since a simulated host shares
 * its processor with the service that is measured: this takes a fifth of what a general client takes. It reads only what the
 * service sends: a status line and a body of a stated length.
 */
export class Line implements Disposable {
  readonly #socket: Socket;
  readonly #headers: string;
  #heard: Buffer = NOTHING;
  #waiting: PromiseWithResolvers<Answer> | undefined;

  private constructor(socket: Socket, token: string | undefined) {
    this.#socket = socket;
    this.#headers = `Host: bench\r\n${token === undefined ? "" : `Authorization: Bearer ${token}\r\n`}`;
    socket.on("data", (piece) => this.#hear(piece));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the service closed the connection")));
  }

  /** Connects as somebody who has a token. */
  static async open(to: NetConnectOpts, token?: string): Promise<Line> {
    const socket = connect({ ...to, noDelay: true });
    await once(socket, "connect");
    return new Line(socket, token);
  }

  /** Asks and waits for the whole answer. Throws when the connection ends before. */
  ask({ method, path, type = "application/json", body = "" }: Request): Promise<Answer> {
    const head = `${method} ${path} HTTP/1.1\r\n${this.#headers}`;
    const bytes = Buffer.byteLength(body);
    const about = bytes === 0 ? "" : `Content-Type: ${type}\r\nContent-Length: ${bytes}\r\n`;
    this.#waiting = Promise.withResolvers();
    if (typeof body === "string") this.#socket.write(`${head}${about}\r\n${body}`);
    else {
      this.#socket.cork();
      this.#socket.write(`${head}${about}\r\n`);
      this.#socket.write(body);
      this.#socket.uncork();
    }
    return this.#waiting.promise;
  }

  /** Asks for what is JSON, and throws unless the answer has this status. */
  async askJson(request: Request, status: number): Promise<unknown> {
    const answer = await this.ask(request);
    if (answer.status !== status) throw unexpected(request, answer);
    return JSON.parse(answer.body.toString());
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #hear(piece: Buffer): void {
    this.#heard = this.#heard.length === 0 ? piece : Buffer.concat([this.#heard, piece]);
    const headEnd = this.#heard.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = this.#heard.toString("latin1", 0, headEnd);
    const status = Number(head.slice(9, 12));
    const end = headEnd + HEAD_END.length + (status === 204 ? 0 : lengthOf(head));
    if (this.#heard.length < end) return;
    const body = this.#heard.subarray(headEnd + HEAD_END.length, end);
    this.#heard = this.#heard.subarray(end);
    this.#waiting?.resolve({ status, body });
    this.#waiting = undefined;
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}

/** What is thrown at an answer that nobody expected. */
export function unexpected({ method, path }: Request, { status, body }: Answer): Error {
  return new Error(`${method} ${path}: ${status} ${body.toString().slice(0, 500)}`);
}

function lengthOf(head: string): number {
  const text = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (text === undefined) throw new Error(`an answer without a length:\n${head}`);
  return Number(text);
}
