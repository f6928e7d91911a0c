import { connect, type Socket } from "node:net";
import { type Deadline, within } from "./call.ts";
import { LibvirtConnectionError } from "./error.ts";
import { Link, type LinkOptions } from "./link.ts";
import { PROCEDURE, type Procedure } from "./protocol.ts";
import type { Target } from "./uri.ts";

/** Ways to authenticate that a daemon can ask for (remote_auth_type). */
const AUTH = { none: 0, polkit: 2 } as const;

/** Tells libvirtd that we answer its pings; it sends none otherwise (VIR_DRV_FEATURE_PROGRAM_KEEPALIVE). */
const FEATURE_KEEPALIVE = 10;

/**
 * Opens a link: the first socket that takes us, then authentication and the driver. Throws LibvirtConnectionError that
 * names every socket tried, or the signal's reason.
 */
export async function dial(
  target: Target,
  options: LinkOptions,
  deadline: Deadline,
): Promise<Link> {
  const { socket, path } = await connectFirst(target, deadline);
  const link = new Link(socket, options);
  try {
    await open(link, target.name, deadline);
    return link;
  } catch (cause) {
    const { reason, aborted } = deadline.signal ?? {};
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `libvirt at ${path} did not open ${target.name}: ${why}`;
    const error = new LibvirtConnectionError("unreachable", message, { cause });
    link.close(error);
    throw aborted ? reason : error;
  }
}

async function connectFirst(
  { name, sockets }: Target,
  deadline: Deadline,
): Promise<{ socket: Socket; path: string }> {
  const causes: Error[] = [];
  for (const path of sockets) {
    try {
      return { socket: await connectTo(path, deadline), path };
    } catch (error) {
      deadline.signal?.throwIfAborted();
      causes.push(error as Error);
    }
  }
  const tried = causes.map(({ message }) => message).join("; ");
  const cause = causes.length === 1 ? causes[0] : new AggregateError(causes);
  throw new LibvirtConnectionError("unreachable", `no libvirt daemon for ${name}: ${tried}`, {
    cause,
  });
}

/** A stopped daemon still has its socket, and connecting hangs once its backlog is full. */
async function connectTo(path: string, deadline: Deadline): Promise<Socket> {
  const socket = connect(path);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("connect", resolve);
  // Stays on: a socket that is given up may still report an error, which nobody's listener would make fatal.
  socket.on("error", reject);
  const late = () => new Error(`connecting to ${path} took longer than ${deadline.timeoutMs} ms`);
  try {
    await within(promise, deadline, late);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function open(link: Link, name: string, deadline: Deadline): Promise<void> {
  const ask = <A, R>(procedure: Procedure<A, R>, args: A) =>
    link.call({ procedure, args }, deadline);
  const ways = await ask(PROCEDURE.authList, undefined);
  if (ways.length > 0 && !ways.includes(AUTH.none)) {
    if (!ways.includes(AUTH.polkit))
      throw new Error("it asks for SASL authentication, which is not supported");
    await ask(PROCEDURE.authPolkit, undefined);
  }
  await ask(PROCEDURE.connectOpen, { name, flags: 0 });
  await ask(PROCEDURE.connectSupportsFeature, FEATURE_KEEPALIVE);
}
