import { once } from "node:events";
import { chmod, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import type { ListenAddress } from "#lib/listen-address.ts";
import { answerBadClient } from "./bad-client.ts";
import type { HttpApp } from "./http-app.ts";
import type { Limits } from "./limits.ts";

/** A certificate chain and its key, as PEM texts. */
export type Certificate = { readonly cert: string; readonly key: string };

/** One place where the API is reached. */
export type Listener = {
  /** With the port that was really taken. */
  readonly address: ListenAddress;
  /** Takes no more connections, lets requests that run end, and closes what is left after `graceMs`. Twice is safe. */
  close(graceMs: number): Promise<void>;
};

const LOOK_FOR_SLOW_MS = 1000;
const HANDSHAKE_MS = 10_000;
const SWEEP_MS = 50;

/**
 * Begins to listen; with a certificate over TLS 1.2 or newer. A Unix socket is for its owner and group; one that a dead
 * process left is replaced. Throws Node's own error when the place is taken or not ours.
 */
export async function listen(
  app: HttpApp,
  address: ListenAddress,
  { limits, certificate }: { readonly limits: Limits; readonly certificate?: Certificate },
): Promise<Listener> {
  const options = {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    maxHeaderSize: limits.headerBytes,
    connectionsCheckingInterval: Math.min(LOOK_FOR_SLOW_MS, limits.headersMs),
    noDelay: true,
  };
  const server =
    certificate === undefined || address.kind === "unix"
      ? createServer(options, app.listener)
      : createTlsServer(
          { ...options, ...certificate, minVersion: "TLSv1.2", handshakeTimeout: HANDSHAKE_MS },
          app.listener,
        );
  server.timeout = limits.silenceMs;
  server.maxConnections = limits.connectionsMax;
  server.on("clientError", (error: Error, socket) => answerBadClient(error, socket as Socket));
  await bind(server, address);
  const { port = 0 } = (address.kind === "unix" ? {} : server.address()) as Partial<AddressInfo>;
  let closing: Promise<void> | undefined;
  return {
    address: address.kind === "unix" ? address : { ...address, port },
    close: (graceMs) => {
      closing ??= closeServer(server, graceMs);
      return closing;
    },
  };
}

async function bind(server: Server, address: ListenAddress): Promise<void> {
  if (address.kind === "tcp") {
    server.listen({ host: address.host, port: address.port, ipv6Only: true });
    await once(server, "listening");
    return;
  }
  if (await isDead(address.path)) await rm(address.path, { force: true });
  // Node binds within the call, so that nobody ever sees the socket with a wider mode.
  const before = process.umask(0o117);
  server.listen({ path: address.path });
  process.umask(before);
  await once(server, "listening");
  await chmod(address.path, 0o660);
}

/** Whether nobody listens on a socket that is there. */
async function isDead(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ECONNREFUSED";
  } finally {
    socket.destroy();
  }
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = once(server, "close");
  server.close();
  // Node closes what is idle now; a connection whose last answer is under way becomes so later.
  const sweeping = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(sweeping);
  clearTimeout(timer);
}
