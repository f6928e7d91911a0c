import { timingSafeEqual } from "node:crypto";
import type { Socket } from "node:net";
import ssh2, { type ClientChannel } from "ssh2";
import { Exec, type ExecEnd } from "./channel.ts";
import { decryptsAtOnce, gatherWrites, keepKeyObjects } from "./fast-packets.ts";
import { lendReads } from "./frugal-socket.ts";
import { hearSignsOfLife } from "./signs-of-life.ts";
import { ConnectionLost, LoginRefused, WrongHostKey } from "./ssh-errors.ts";

/** Who we are to the guest, and who it must be to us. */
export type Credentials = {
  readonly login: string;
  /** OpenSSH private key. Secret. */
  readonly clientKey: string;
  /** The public key blob that the guest must show. */
  readonly hostKey: Buffer;
};

export type OpenOptions = {
  /** For everything from the first byte to the login. */
  readonly handshakeMs: number;
  readonly signal: AbortSignal;
  /** Called when the guest has shown the right key. */
  readonly onHostKey?: () => void;
};

/**
 * What OpenSSH and dropbear share of today's algorithms. AES-128-GCM first: with AES instructions it is the fastest in
 * Node; dropbear has it only when built so, and then chacha20-poly1305 is next.
 */
const ALGORITHMS = {
  kex: ["curve25519-sha256", "curve25519-sha256@libssh.org"],
  serverHostKey: ["ssh-ed25519"],
  cipher: ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr"],
  hmac: ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"],
  compress: ["none"],
} satisfies ssh2.ConnectConfig["algorithms"];

/** A connection on which nothing comes for 30 s, not even answers to these, is lost. */
const KEEPALIVE_MS = 10_000;
const KEEPALIVES_MISSED_MAX = 2;
/** Twice the window that we grant: a server that sends more unread bytes than this does not keep to RFC 4254, 5.2. */
const UNREAD_BYTES_MAX = 4 * 1024 * 1024;
const ANSWER_BYTES_MAX = 64 * 1024;

/** An SSH connection to one guest, over a socket of our own, with the guest's key checked. It does not reconnect. */
export class SshConnection implements Disposable {
  readonly #client: ssh2.Client;
  readonly #socket: Socket;
  readonly #lost = new AbortController();
  readonly #channels = new Set<ClientChannel>();

  private constructor(client: ssh2.Client, socket: Socket) {
    this.#client = client;
    this.#socket = socket;
  }

  /**
   * Logs in over a connected socket, which this then owns (it is destroyed on a throw). Only our key is offered, no
   * agent, nothing is forwarded. Throws `WrongHostKey`, `LoginRefused`, `ConnectionLost` or the signal's reason.
   */
  static async open(
    socket: Socket,
    credentials: Credentials,
    { handshakeMs, signal, onHostKey }: OpenOptions,
  ): Promise<SshConnection> {
    // Without it each small packet waits for the peer's delayed acknowledgement, 40 ms; ssh2 never sets it.
    socket.setNoDelay(true);
    gatherWrites(socket);
    const client = new ssh2.Client();
    const connection = new SshConnection(client, socket);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let isWrongKey = false;
    let offered = false;
    const onAbort = () => {
      reject(signal.reason);
      socket.destroy();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    client.once("ready", resolve);
    client.on("handshake", () => {
      keepKeyObjects(client);
      // A server that changes the cipher later, for which it has no reason, breaks its own connection at worst.
      if (decryptsAtOnce(client)) lendReads(socket);
    });
    client.on("error", (error: Error & { level?: string }) => {
      if (isWrongKey) return reject(new WrongHostKey("the host key is not the one made for it"));
      if (error.level === "client-authentication") return reject(new LoginRefused(error.message));
      connection.#lose(error);
      reject(connection.#lost.signal.reason);
    });
    client.once("close", () => {
      connection.#lose();
      reject(connection.#lost.signal.reason);
    });
    socket.on("data", () => connection.#guardWindows(socket));
    try {
      signal.throwIfAborted();
      client.connect({
        sock: socket,
        username: credentials.login,
        algorithms: ALGORITHMS,
        readyTimeout: handshakeMs,
        keepaliveInterval: KEEPALIVE_MS,
        keepaliveCountMax: KEEPALIVES_MISSED_MAX,
        hostVerifier: (key: Buffer) => {
          const isRight =
            key.length === credentials.hostKey.length && timingSafeEqual(key, credentials.hostKey);
          isWrongKey = !isRight;
          if (isRight) onHostKey?.();
          return isRight;
        },
        // One offer of one key: neither `none` first, which costs a round trip, nor anything else after it. The types
        // want an object or `false`; ssh2 takes both.
        authHandler: (_left, _partial, next) => {
          if (offered) return next(false as never);
          offered = true;
          next({ type: "publickey", username: credentials.login, key: credentials.clientKey });
        },
      });
      await promise;
      hearSignsOfLife(client, socket);
      return connection;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Aborts when the connection is gone; the reason is a `ConnectionLost`. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * Starts a command. `command` is our own text with values only through `quote`. The signal closes the channel.
   * Throws `ConnectionLost` or the signal's reason.
   */
  async exec(command: string, signal: AbortSignal): Promise<Exec> {
    signal.throwIfAborted();
    if (this.lost.aborted) throw this.lost.reason;
    const exec = await this.#open(command, signal);
    const onAbort = () => exec[Symbol.dispose]();
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    exec.ended.catch(() => undefined).finally(() => signal.removeEventListener("abort", onAbort));
    return exec;
  }

  /** Runs a short command to its end and returns what it printed, at most 64 KiB of it. */
  async ask(
    command: string,
    input: string | Uint8Array,
    signal: AbortSignal,
  ): Promise<ExecEnd & { readonly stdout: string; readonly stderr: string }> {
    using exec = await this.exec(command, signal);
    // A command that needs no input may be over before any could be written, and that is no lost connection.
    if (input.length > 0) await exec.write(typeof input === "string" ? Buffer.from(input) : input);
    exec.endInput();
    const pieces: Buffer[] = [];
    let bytes = 0;
    for (let piece = await exec.read(); piece !== undefined; piece = await exec.read()) {
      if (bytes < ANSWER_BYTES_MAX) pieces.push(piece.subarray(0, ANSWER_BYTES_MAX - bytes));
      bytes += piece.length;
    }
    const end = await exec.ended;
    signal.throwIfAborted();
    return { ...end, stdout: Buffer.concat(pieces).toString(), stderr: exec.stderr };
  }

  /** Closes the connection. Twice is safe. */
  [Symbol.dispose](): void {
    this.#lose(new Error("closed by us"));
    this.#client.end();
    // ssh2 leaves a socket that it ended to its peer, and a guest that is gone would hold the process for minutes.
    this.#socket.destroy();
  }

  async #open(command: string, signal: AbortSignal): Promise<Exec> {
    const { promise, resolve, reject } = Promise.withResolvers<Exec>();
    const onAbort = () => reject(signal.reason);
    const onLost = () => reject(this.lost.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.lost.addEventListener("abort", onLost, { once: true });
    this.#client.exec(command, (error, channel) => {
      if (error !== undefined && error !== null) {
        return reject(new ConnectionLost(`no channel: ${error.message}`, { cause: error }));
      }
      // At once: a short command's end may be in the same packet as the answer to its beginning.
      const exec = new Exec(channel, this.lost);
      this.#channels.add(channel);
      channel.once("close", () => this.#channels.delete(channel));
      // Nobody waits any more: the channel must not stay open with its window unread.
      if (signal.aborted || this.lost.aborted) exec[Symbol.dispose]();
      resolve(exec);
    });
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.lost.removeEventListener("abort", onLost);
    }
  }

  #lose(cause?: Error): void {
    if (this.lost.aborted) return;
    const message = cause === undefined ? "the guest closed the connection" : cause.message;
    this.#lost.abort(new ConnectionLost(message, { cause }));
  }

  /** ssh2 stops taking data only when a window is exactly zero, so a server may go below it for as long as it likes. */
  #guardWindows(socket: Socket): void {
    for (const channel of this.#channels) {
      if (channel.readableLength <= UNREAD_BYTES_MAX) continue;
      this.#lose(new Error("the guest ignores flow control"));
      socket.destroy();
    }
  }
}
