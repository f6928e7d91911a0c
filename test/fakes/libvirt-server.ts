import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode, encode } from "#libvirt/codec.ts";
import {
  encodeFrame,
  FRAME_STATUS,
  FRAME_TYPE,
  type Frame,
  FrameSplitter,
  PROGRAM,
} from "#libvirt/frame.ts";
import { KEEPALIVE, PROCEDURE, type Procedure } from "#libvirt/protocol.ts";
import { remoteError } from "#libvirt/protocol-values.ts";

type Name = keyof typeof PROCEDURE;
type Args<N extends Name> = (typeof PROCEDURE)[N] extends {
  takes: { read: (from: never) => infer A };
}
  ? A
  : never;
type Result<N extends Name> = (typeof PROCEDURE)[N] extends {
  gives: { read: (from: never) => infer R };
}
  ? R
  : never;

/** A call as the server got it. It is answered when somebody answers it, and not before. */
export type ReceivedCall<N extends Name> = {
  readonly name: N;
  readonly args: Args<N>;
  readonly serial: number;
  readonly peer: Peer;
  reply(value: Result<N>): void;
  refuse(code: number, message: string): void;
};

type Handler<N extends Name> = (call: ReceivedCall<N>) => void;
/** Handlers of all procedures lie in one map; each gets the calls of its own. */
type AnyHandler = (call: never) => void;

/** One client of the server, for tests that speak to it out of turn. */
export class Peer {
  readonly socket: Socket;
  /** Keepalive messages that the client sent, by procedure. */
  readonly keepalive: number[] = [];
  /** Stream packets that the client sent, by status. */
  readonly streamStatus: number[] = [];
  /** When false, pings get no answer. */
  answersPings = true;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => undefined);
  }

  /** Sends a message; what is not given is what a reply of the remote program has. */
  send(frame: Partial<Frame>): void {
    this.socket.write(
      encodeFrame({
        program: PROGRAM.remote,
        version: 1,
        procedure: 0,
        type: FRAME_TYPE.reply,
        serial: 0,
        status: FRAME_STATUS.ok,
        payload: Buffer.alloc(0),
        ...frame,
      }),
    );
  }

  raw(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  ping(): void {
    this.send({ program: PROGRAM.keepalive, procedure: KEEPALIVE.ping, type: FRAME_TYPE.event });
  }
}

/**
 * A libvirt daemon in this process, on the codec of the client. It opens connections and takes event registrations by
 * itself; everything else does what the test's handlers say, which is the dial for faults.
 */
export class FakeLibvirtServer implements AsyncDisposable {
  readonly peers: Peer[] = [];
  readonly received: { readonly name: Name; readonly serial: number }[] = [];
  readonly #folder: string;
  readonly #server: Server;
  readonly #handlers = new Map<Name, AnyHandler>();

  private constructor(folder: string) {
    this.#folder = folder;
    this.#server = createServer((socket) => this.#accept(socket));
    this.on("authList", (call) => call.reply([]));
    this.on("connectOpen", (call) => call.reply());
    this.on("connectClose", (call) => call.reply());
    this.on("connectSupportsFeature", (call) => call.reply(1));
    this.on("connectDomainEventCallbackRegisterAny", (call) => call.reply(call.args.event));
  }

  static async listen(): Promise<FakeLibvirtServer> {
    const server = new FakeLibvirtServer(await mkdtemp(join(tmpdir(), "fake-libvirt-")));
    await server.open();
    return server;
  }

  get uri(): string {
    return `test:///default?socket=${this.#socketPath}`;
  }

  get lastPeer(): Peer {
    const peer = this.peers.at(-1);
    if (peer === undefined) throw new Error("no client has connected yet");
    return peer;
  }

  /** From now on calls of this procedure go to `handler`. */
  on<N extends Name>(name: N, handler: Handler<N>): void {
    this.#handlers.set(name, handler);
  }

  /** The next call of this procedure goes to `handler`, later ones to the one before. */
  once<N extends Name>(name: N, handler: Handler<N>): void {
    const before = this.#handlers.get(name);
    this.on(name, (call) => {
      if (before === undefined) this.#handlers.delete(name);
      else this.#handlers.set(name, before);
      handler(call);
    });
  }

  async open(): Promise<void> {
    this.#server.listen(this.#socketPath);
    await once(this.#server, "listening");
  }

  /** Drops all clients and takes no new ones, as a daemon that died. */
  async shut(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const { socket } of this.peers) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.shut();
    await rm(this.#folder, { recursive: true, force: true });
  }

  get #socketPath(): string {
    return join(this.#folder, "sock");
  }

  #accept(socket: Socket): void {
    const peer = new Peer(socket);
    const splitter = new FrameSplitter();
    this.peers.push(peer);
    socket.on("data", (piece: Buffer) => {
      for (const frame of splitter.push(piece)) this.#take(peer, frame);
    });
  }

  #take(peer: Peer, frame: Frame): void {
    const { program, procedure, type, serial, status, payload } = frame;
    if (program === PROGRAM.keepalive) {
      peer.keepalive.push(procedure);
      if (procedure === KEEPALIVE.ping && peer.answersPings)
        peer.send({ program, procedure: KEEPALIVE.pong, type });
      return;
    }
    if (type === FRAME_TYPE.stream) {
      peer.streamStatus.push(status);
      return;
    }
    const [name] = (Object.keys(PROCEDURE) as Name[]).filter(
      (key) => PROCEDURE[key].number === procedure && PROCEDURE[key].program === program,
    );
    if (name === undefined) throw new Error(`the client called procedure ${procedure}`);
    const { takes, gives } = PROCEDURE[name] as unknown as Procedure<unknown, unknown>;
    this.received.push({ name, serial });
    const call = {
      name,
      args: decode(takes, payload),
      serial,
      peer,
      reply: (value: unknown) =>
        peer.send({ program, procedure, serial, payload: encode(gives, value) }),
      refuse: (code: number, message: string) =>
        peer.send({
          program,
          procedure,
          serial,
          status: FRAME_STATUS.error,
          payload: encodeError(code, message),
        }),
    };
    this.#handlers.get(name)?.(call as never);
  }
}

/** The payload of a message that says that something failed. */
export function encodeError(code: number, message: string): Buffer {
  return encode(remoteError, {
    code,
    domain: 0,
    message,
    level: 2,
    dom: undefined,
    str1: undefined,
    str2: undefined,
    str3: undefined,
    int1: 0,
    int2: 0,
    net: undefined,
  });
}
