import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import ssh2, { type ServerChannel } from "ssh2";
import { gatherWrites } from "#host/guest/fast-packets.ts";
import type { GuestOptions } from "#host/guest/guest-options.ts";
import { makeKeyPair } from "#host/guest/keys.ts";
import type { Access } from "#host/runner/ports.ts";

/** What a guest played by ssh2's server does; whatever is left out is done as an honest guest would. */
export type Behaviour = {
  /** Shows a key that was not made for it. */
  readonly hasWrongHostKey?: boolean;
  readonly refusesLogin?: boolean;
  /** Takes the connection instead of the SSH server. */
  readonly onConnection?: (socket: Socket) => void;
  readonly onStep?: (channel: ServerChannel) => void;
  readonly onCollect?: (channel: ServerChannel) => void;
};

export type PlayedGuest = {
  readonly port: number;
  readonly access: Access;
  readonly options: Partial<GuestOptions>;
  /** Logins that were tried, in the order of coming: method names. */
  readonly logins: readonly string[];
} & AsyncDisposable;

const BOOT_ID = "01234567-89ab-cdef-0123-456789abcdef";

/** Starts a guest in this process, for what no real server would do. */
export async function playGuest(behaviour: Behaviour): Promise<PlayedGuest> {
  const client = makeKeyPair();
  const host = makeKeyPair();
  const shown = behaviour.hasWrongHostKey ? makeKeyPair() : host;
  const logins: string[] = [];
  const sockets = new Set<Socket>();
  const sshd = new ssh2.Server({ hostKeys: [shown.privateKey] }, (connection) => {
    connection.on("error", () => undefined);
    connection.on("authentication", (context) => {
      logins.push(context.method);
      if (behaviour.refusesLogin) context.reject(["publickey"]);
      else context.accept();
    });
    connection.on("session", (accept) => {
      accept().on("exec", (acceptExec, _reject, { command }) => {
        const channel = acceptExec();
        channel.on("error", () => undefined);
        obey(channel, command, behaviour);
      });
    });
  });
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
    if (behaviour.onConnection !== undefined) {
      behaviour.onConnection(socket);
      return;
    }
    gatherWrites(socket.setNoDelay(true));
    sshd.injectSocket(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    access: { login: "root", clientKey: client.privateKey, hostKey: host.wire, seedPath: "/none" },
    options: { port: address.port },
    logins,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function obey(channel: ServerChannel, command: string, behaviour: Behaviour): void {
  channel.resume();
  const word = / '(?<word>settle|step|collect|stop)'/.exec(command)?.groups?.["word"];
  const own = { step: behaviour.onStep, collect: behaviour.onCollect }[word ?? ""];
  if (own !== undefined) {
    own(channel);
    return;
  }
  channel.once("end", () => {
    if (word === "settle") channel.write(`${BOOT_ID}\n`);
    channel.exit(0);
    channel.end();
  });
}

/** Ends a step as the runner does. */
export function endStep(channel: ServerChannel, words = "end ended code 0 unknown"): void {
  channel.stderr.write(`${words}\n`, () => {
    channel.exit(0);
    channel.end();
  });
}
