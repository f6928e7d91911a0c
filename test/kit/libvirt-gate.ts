import { rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { encodeFrame, FRAME_TYPE, type Frame, FrameSplitter } from "#libvirt/frame.ts";
import { PROCEDURE } from "#libvirt/protocol.ts";

type ProcedureName = keyof typeof PROCEDURE;

/** A moment of a call: its question is about to reach libvirt, or its answer the one who asked. */
export type Moment = { readonly when: "before" | "after"; readonly procedure: ProcedureName };

/**
 * Stands between a daemon and libvirtd, and stops a call in a moment that no timing would hit. Everything else passes as it comes.
 * Whoever asked and is dead by then never has its question passed on.
 */
export class LibvirtGate implements AsyncDisposable {
  readonly uri: string;
  readonly #behind: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #watched: (Moment & { readonly reached: () => Promise<void> }) | undefined;

  private constructor(path: string, behind: string) {
    this.#behind = behind;
    this.uri = `qemu:///system?socket=${path}`;
    this.#server = createServer((socket) => this.#join(socket));
  }

  /** Listens at `path` for what is to reach the libvirtd at the socket `behind`. */
  static async open(path: string, behind: string): Promise<LibvirtGate> {
    const gate = new LibvirtGate(path, behind);
    await rm(path, { force: true });
    await new Promise<void>((done) => gate.#server.listen(path, done));
    return gate;
  }

  /** Calls `reached` at the next such moment, once, and holds that one message until it resolves. */
  once(moment: Moment, reached: () => Promise<void>): void {
    this.#watched = { ...moment, reached };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((done) => this.#server.close(done));
  }

  #join(client: Socket): void {
    const libvirtd = connect(this.#behind);
    for (const socket of [client, libvirtd]) {
      this.#sockets.add(socket);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        client.destroy();
        libvirtd.destroy();
      });
    }
    const passed = [
      this.#pass(client, libvirtd, { when: "before", type: FRAME_TYPE.call }),
      this.#pass(libvirtd, client, { when: "after", type: FRAME_TYPE.reply }),
    ];
    // A connection that breaks is what drills are for.
    for (const one of passed) one.catch(() => undefined);
  }

  async #pass(
    from: Socket,
    to: Socket,
    way: { readonly when: Moment["when"]; readonly type: number },
  ): Promise<void> {
    const splitter = new FrameSplitter();
    for await (const bytes of from as AsyncIterable<Buffer>) {
      for (const frame of splitter.push(bytes)) {
        const bytesOfIt = encodeFrame(frame);
        const pass = () => from.destroyed || to.destroyed || to.write(bytesOfIt);
        const watched = this.#watched;
        if (watched?.when === way.when && way.type === frame.type && isOf(frame, watched)) {
          this.#watched = undefined;
          void watched.reached().then(pass);
        } else pass();
      }
    }
  }
}

function isOf(frame: Frame, { procedure }: Moment): boolean {
  const { program, number } = PROCEDURE[procedure];
  return frame.program === program && frame.procedure === number;
}
