import type { Socket } from "node:net";
import { Call, type Deadline, type Order } from "./call.ts";
import { Download } from "./download.ts";
import { LibvirtConnectionError } from "./error.ts";
import { type Flight, type Next, takeReply, takeStream } from "./flight.ts";
import {
  encodeFrame,
  FRAME_STATUS,
  FRAME_TYPE,
  type Frame,
  FrameSplitter,
  PROGRAM,
  PROGRAM_VERSION,
} from "./frame.ts";
import { KEEPALIVE } from "./protocol.ts";
import { type Keepalive, Pulse } from "./pulse.ts";
import { Slots } from "./slots.ts";

export type LinkOptions = {
  /** Calls on the wire at once. */
  readonly inFlightMax: number;
  readonly keepalive: Keepalive;
  /** An event message came. What it throws ends the link as a broken protocol. */
  readonly onEvent: (frame: Frame) => void;
  /** Called once, when the link is no more. */
  readonly onDown: (error: LibvirtConnectionError) => void;
};

/** Pongs are withheld while the peer leaves this many bytes of ours unread, or its pings could fill our memory. */
const UNREAD_BYTES_MAX = 1024 * 1024;

const NO_PAYLOAD = Buffer.alloc(0);

/**
 * One connected socket: numbers calls, matches replies, hands out events, and ends as a whole. Everything that the peer
 * may not do ends it, with an error that says what it was; nothing is guessed and nothing is skipped.
 */
export class Link {
  readonly #socket: Socket;
  readonly #options: LinkOptions;
  readonly #splitter = new FrameSplitter();
  readonly #slots: Slots;
  readonly #pulse: Pulse;
  readonly #timer: NodeJS.Timeout;
  #downBy: LibvirtConnectionError | undefined;

  constructor(socket: Socket, options: LinkOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#slots = new Slots(options.inFlightMax);
    this.#pulse = new Pulse(options.keepalive.missedMax);
    this.#timer = setInterval(() => this.#look(), options.keepalive.intervalMs);
    socket.on("data", (piece: Buffer) => this.#receive(piece));
    socket.on("error", (cause) => this.#lose("the connection to libvirt broke", cause));
    socket.on("close", () => this.#lose("libvirt closed the connection", undefined));
  }

  /** True when no call is on the wire or waits for it. */
  get isIdle(): boolean {
    return this.#slots.isEmpty;
  }

  /** Throws what ended the link, when it has ended. */
  assertUp(): void {
    if (this.#downBy !== undefined) throw this.#downBy;
  }

  /** Sends a call, at once or when a slot is free. */
  async call<A, R>(order: Order<A, R>, deadline: Deadline): Promise<R> {
    return await this.#enqueue(order, deadline, undefined);
  }

  /** Sends a call that a stream follows, and gathers that up to `bytesMax`. Throws LibvirtStreamError beyond. */
  async download<A, R>(
    order: Order<A, R>,
    bytesMax: number,
    deadline: Deadline,
  ): Promise<{ reply: R; bytes: Buffer }> {
    const download = new Download(bytesMax);
    const reply = await this.#enqueue(order, deadline, download);
    return { reply, bytes: download.bytes() };
  }

  /** Ends the link; whatever is under way rejects. Twice is safe. */
  close(error: LibvirtConnectionError): void {
    if (this.#downBy !== undefined) return;
    this.#downBy = error;
    clearInterval(this.#timer);
    this.#socket.destroy();
    this.#slots.failAll(error);
    this.#options.onDown(error);
  }

  async #enqueue<A, R>(
    order: Order<A, R>,
    deadline: Deadline,
    download: Download | undefined,
  ): Promise<R> {
    this.assertUp();
    this.#slots.refuseWhenCrowded();
    const call = new Call(order, deadline, () => {
      const flight = this.#slots.giveUp(call);
      // Before the reply there may be no stream to abort yet; the reply, or the first packet, comes back to it.
      if (flight?.reply !== undefined && flight.download?.abort()) this.#follow(flight, "abort");
    });
    this.#slots.wait(call, download);
    this.#pump();
    return await call.result;
  }

  #pump(): void {
    for (let flight = this.#slots.next(); flight !== undefined; flight = this.#slots.next())
      this.#send(flight, FRAME_TYPE.call, FRAME_STATUS.ok, flight.call.payload);
  }

  #receive(piece: Buffer): void {
    try {
      for (const frame of this.#splitter.push(piece)) {
        if (this.#downBy !== undefined) return;
        this.#pulse.heard();
        this.#dispatch(frame);
      }
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const message = `libvirt broke its protocol: ${why}`;
      this.close(new LibvirtConnectionError("protocol", message, { cause }));
    }
  }

  #dispatch(frame: Frame): void {
    const { program, version, type } = frame;
    if (version !== PROGRAM_VERSION) throw new Error(`program version ${version}`);
    if (program === PROGRAM.keepalive) this.#answerPing(frame);
    else if (program !== PROGRAM.remote && program !== PROGRAM.qemu)
      throw new Error(`unknown program ${program}`);
    else if (type === FRAME_TYPE.event) this.#options.onEvent(frame);
    else this.#answer(frame);
  }

  #answer(frame: Frame): void {
    const flight = this.#slots.find(frame.serial);
    if (flight === undefined) throw new Error(`nobody asked with serial ${frame.serial}`);
    const { program, number } = flight.call.procedure;
    if (frame.program !== program || frame.procedure !== number)
      throw new Error(`procedure ${frame.procedure} answered instead of ${number}`);
    if (frame.type === FRAME_TYPE.reply) this.#follow(flight, takeReply(flight, frame));
    else if (frame.type === FRAME_TYPE.stream) this.#follow(flight, takeStream(flight, frame));
    else throw new Error(`a message of unknown type ${frame.type}`);
  }

  #follow(flight: Flight, next: Next): void {
    if (next === "finish") this.#send(flight, FRAME_TYPE.stream, FRAME_STATUS.ok, NO_PAYLOAD);
    if (next === "abort") this.#send(flight, FRAME_TYPE.stream, FRAME_STATUS.error, NO_PAYLOAD);
    if (next === "over") {
      this.#slots.free(flight);
      this.#pump();
    }
  }

  #answerPing({ type, procedure }: Frame): void {
    if (type !== FRAME_TYPE.event || (procedure !== KEEPALIVE.ping && procedure !== KEEPALIVE.pong))
      throw new Error(`keepalive message ${procedure} of type ${type}`);
    if (procedure === KEEPALIVE.ping && this.#socket.writableLength < UNREAD_BYTES_MAX)
      this.#sendKeepalive(KEEPALIVE.pong);
  }

  #look(): void {
    const finding = this.#pulse.look(this.#slots.taken);
    if (finding === "ask") this.#sendKeepalive(KEEPALIVE.ping);
    else if (finding !== "alive") this.#lose(finding.dead, undefined);
  }

  #lose(message: string, cause: unknown): void {
    this.close(new LibvirtConnectionError("lost", message, { cause }));
  }

  #sendKeepalive(procedure: number): void {
    const [type, status] = [FRAME_TYPE.event, FRAME_STATUS.ok];
    const head = { program: PROGRAM.keepalive, version: PROGRAM_VERSION, serial: 0 };
    this.#socket.write(encodeFrame({ ...head, procedure, type, status, payload: NO_PAYLOAD }));
  }

  #send({ serial, call }: Flight, type: number, status: number, payload: Buffer): void {
    const { program, number: procedure } = call.procedure;
    const head = { program, version: PROGRAM_VERSION, procedure, serial };
    this.#socket.write(encodeFrame({ ...head, type, status, payload }));
  }
}
