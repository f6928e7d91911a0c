import type { Socket } from "node:net";
import { SshConnection } from "#host/guest/connection.ts";
import { dial } from "#host/guest/dial.ts";
import type { Server } from "./server.ts";

/** An emulated guest on a busy host takes seconds for a handshake. */
const HANDSHAKE_MS = 30_000;

/** The product's own way to a server, up to its banner. */
export async function dialServer(server: Server, signal: AbortSignal): Promise<Socket> {
  const { address, port } = server;
  const { socket } = await dial({
    address,
    port,
    connectMs: 3000,
    bannerMs: HANDSHAKE_MS,
    signal,
  });
  return socket;
}

/** The product's own connection, logged in. */
export async function connectOurs(server: Server, signal: AbortSignal): Promise<SshConnection> {
  const socket = await dialServer(server, signal);
  return SshConnection.open(socket, server, { handshakeMs: HANDSHAKE_MS, signal });
}

/** Runs a command that needs no input to its end, throwing its output away. */
export async function drainOurs(
  connection: SshConnection,
  command: string,
  signal: AbortSignal,
): Promise<void> {
  using exec = await connection.exec(command, signal);
  exec.endInput();
  while ((await exec.read()) !== undefined);
  await exec.ended;
}
