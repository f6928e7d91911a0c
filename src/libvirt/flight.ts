import { decode } from "./codec.ts";
import { type Download, LibvirtStreamError } from "./download.ts";
import { LibvirtError } from "./error.ts";
import { FRAME_STATUS, type Frame } from "./frame.ts";
import type { Procedure } from "./protocol.ts";
import { remoteError } from "./protocol-values.ts";

/** A `Call` of any type, as the queue sees it: each reads its own reply, and is given nothing but what it has read. */
export type AnyCall = {
  readonly procedure: Pick<Procedure<unknown, unknown>, "name" | "program" | "number">;
  readonly payload: Buffer;
  isSent: boolean;
  readonly isOver: boolean;
  read(payload: Buffer): unknown;
  succeed(value: unknown): void;
  fail(reason: unknown): boolean;
};

/** A call on the wire. It keeps its slot until libvirt is through with it, whether or not anybody still waits. */
export type Flight = {
  readonly serial: number;
  readonly call: AnyCall;
  /** The stream that belongs to the call, if it has one. */
  readonly download: Download | undefined;
  reply: { readonly value: unknown } | undefined;
  isStreamOver: boolean;
};

/** What the link has to do next: free the slot, nothing, or say "finish" or "abort" on the flight's stream. */
export type Next = "over" | "wait" | "finish" | "abort";

/** Takes the reply to a call. Throws XdrError or Error for what a reply may not be. */
export function takeReply(flight: Flight, { status, payload }: Frame): Next {
  const { call, download } = flight;
  if (flight.reply !== undefined) throw new Error(`a second reply to ${call.procedure.name}`);
  if (status === FRAME_STATUS.error) {
    call.fail(readError(call.procedure.name, payload));
    return "over";
  }
  if (status !== FRAME_STATUS.ok) throw new Error(`a reply with status ${status}`);
  flight.reply = { value: call.read(payload) };
  if (call.isOver && download?.abort()) return "abort";
  return landing(flight);
}

/**
 * Takes a packet of a stream. libvirtd sends replies and streams from different threads, so all of a stream may come before
 * the reply. Throws XdrError or Error for what a packet may not be.
 */
export function takeStream(flight: Flight, { status, payload }: Frame): Next {
  const { call, download } = flight;
  if (download === undefined || flight.isStreamOver)
    throw new Error(`a stream after ${call.procedure.name}, which has none`);
  if (status === FRAME_STATUS.continue) return takeData(call, download, payload);
  if (status === FRAME_STATUS.error) call.fail(readError(call.procedure.name, payload));
  else if (status !== FRAME_STATUS.ok) throw new Error(`a stream with status ${status}`);
  else if (download.isFlowing || payload.length > 0) throw new Error("a stream that ends unasked");
  flight.isStreamOver = true;
  return landing(flight);
}

function takeData(call: AnyCall, download: Download, payload: Buffer): Next {
  if (call.isOver && download.abort()) return "abort";
  try {
    return download.take(payload) ? "finish" : "wait";
  } catch (error) {
    if (!(error instanceof LibvirtStreamError)) throw error;
    call.fail(error);
    return download.abort() ? "abort" : "wait";
  }
}

/** A flight is over when its reply and, if it has one, the end of its stream have come. */
function landing({ call, download, reply, isStreamOver }: Flight): Next {
  if (reply === undefined || (download !== undefined && !isStreamOver)) return "wait";
  call.succeed(reply.value);
  return "over";
}

function readError(call: string, payload: Buffer): LibvirtError {
  const { code, domain, level, message, str1, str2, str3 } = decode(remoteError, payload);
  const details = [str1, str2, str3].filter((text) => text !== undefined);
  return new LibvirtError(call, { code, domain, level, message, details });
}
