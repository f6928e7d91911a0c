import { encode, string } from "#libvirt/codec.ts";
import { FRAME_STATUS, FRAME_TYPE, PROGRAM } from "#libvirt/frame.ts";
import { DOMAIN_EVENT, PROCEDURE } from "#libvirt/protocol.ts";
import type { ReceivedCall } from "./libvirt-server.ts";

type Hostname = ReceivedCall<"connectGetHostname">;

const PROCEDURE_ASKED = PROCEDURE.connectGetHostname.number;

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/**
 * Everything that a broken or hostile daemon can answer to a question for its host name, each against the protocol. The
 * client has to reject the call, drop the connection and make a new one.
 */
export const FAULTS: Readonly<Record<string, (call: Hostname) => void>> = {
  "a length over 32 MiB": ({ peer }) => peer.raw(word(32 * 1024 * 1024 + 5)),
  "a length of all ones": ({ peer }) => peer.raw(word(0xffff_ffff)),
  "a length of zero": ({ peer }) => peer.raw(word(0)),
  "a length shorter than a header": ({ peer }) => peer.raw(word(27)),
  "another protocol": ({ peer }) => peer.raw(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")),
  "zeros for ever": ({ peer }) => peer.raw(Buffer.alloc(4096)),
  "an unknown program": ({ peer, serial }) => peer.send({ program: 0x1234, serial }),
  "another program's reply": ({ peer, serial }) =>
    peer.send({ program: PROGRAM.qemu, procedure: PROCEDURE_ASKED, serial }),
  "an unknown version": ({ peer, serial }) =>
    peer.send({ version: 2, procedure: PROCEDURE_ASKED, serial }),
  "an unknown serial": ({ peer, serial }) =>
    peer.send({ procedure: PROCEDURE_ASKED, serial: serial + 1 }),
  "an unknown procedure": ({ peer, serial }) => peer.send({ procedure: 9_999, serial }),
  "an unknown event": ({ peer }) => peer.send({ procedure: 9_999, type: FRAME_TYPE.event }),
  "an event that is an error": ({ peer }) =>
    peer.send({
      procedure: DOMAIN_EVENT.reboot.procedure,
      type: FRAME_TYPE.event,
      status: FRAME_STATUS.error,
    }),
  "an event cut short": ({ peer }) =>
    peer.send({
      procedure: DOMAIN_EVENT.lifecycle.procedure,
      type: FRAME_TYPE.event,
      payload: word(1),
    }),
  "an unknown type": ({ peer, serial }) =>
    peer.send({ procedure: PROCEDURE_ASKED, serial, type: 9 }),
  "a call of its own": ({ peer, serial }) =>
    peer.send({ procedure: PROCEDURE_ASKED, serial, type: FRAME_TYPE.call }),
  "a reply that says continue": ({ peer, serial }) =>
    peer.send({ procedure: PROCEDURE_ASKED, serial, status: FRAME_STATUS.continue }),
  "a reply with an unknown status": ({ peer, serial }) =>
    peer.send({ procedure: PROCEDURE_ASKED, serial, status: 77 }),
  "an error without its description": ({ peer, serial }) =>
    peer.send({ procedure: PROCEDURE_ASKED, serial, status: FRAME_STATUS.error }),
  "a stream that nobody asked for": ({ peer, serial }) =>
    peer.send({
      procedure: PROCEDURE_ASKED,
      serial,
      type: FRAME_TYPE.stream,
      status: FRAME_STATUS.continue,
    }),
  "a reply without its value": ({ peer, serial }) =>
    peer.send({ procedure: PROCEDURE_ASKED, serial }),
  "a reply cut short": ({ peer, serial }) =>
    peer.send({
      procedure: PROCEDURE_ASKED,
      serial,
      payload: encode(string, "a host name").subarray(0, 8),
    }),
  "a reply with more than its value": ({ peer, serial }) =>
    peer.send({
      procedure: PROCEDURE_ASKED,
      serial,
      payload: Buffer.concat([encode(string, "name"), word(0)]),
    }),
  "text longer than the protocol allows": ({ peer, serial }) =>
    peer.send({ procedure: PROCEDURE_ASKED, serial, payload: word(4 * 1024 * 1024 + 1) }),
  "padding that is not zero": ({ peer, serial }) =>
    peer.send({
      procedure: PROCEDURE_ASKED,
      serial,
      payload: Buffer.concat([word(1), Buffer.from("abcd")]),
    }),
  "an unknown keepalive message": ({ peer }) =>
    peer.send({ program: PROGRAM.keepalive, procedure: 3, type: FRAME_TYPE.event }),
  "a keepalive message that is a call": ({ peer }) =>
    peer.send({ program: PROGRAM.keepalive, procedure: 1, type: FRAME_TYPE.call }),
  "the end of the connection": ({ peer }) => peer.socket.end(),
  "the end within a message": ({ peer }) => peer.socket.end(word(100)),
};
