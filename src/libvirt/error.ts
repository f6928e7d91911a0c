import { errorCodeName, errorDomainName } from "./error-names.ts";

/** What libvirt answered instead of a result. Branch on `codeName`, or on `code` for one that is newer than our table. */
export class LibvirtError extends Error {
  override readonly name = "LibvirtError";
  /** The procedure that was refused. */
  readonly call: string;
  readonly code: number;
  /** libvirt's own name, `VIR_ERR_NO_DOMAIN`; `VIR_ERR_113` for a code that our table does not have. */
  readonly codeName: string;
  /** Which part of libvirt says so. */
  readonly domain: number;
  readonly domainName: string;
  readonly level: "none" | "warning" | "error";
  /** Details that some errors have; the first is usually the message's format. */
  readonly details: readonly string[];

  constructor(
    call: string,
    said: {
      readonly code: number;
      readonly domain: number;
      readonly level: number;
      readonly message: string | undefined;
      readonly details: readonly string[];
    },
  ) {
    super(said.message ?? `libvirt refused ${call} and did not say why`);
    this.call = call;
    this.code = said.code;
    this.codeName = errorCodeName(said.code);
    this.domain = said.domain;
    this.domainName = errorDomainName(said.domain);
    this.level = said.level === 0 ? "none" : said.level === 1 ? "warning" : "error";
    this.details = said.details;
  }
}

/**
 * `unreachable`: no socket took us, or libvirt refused to open. `lost`: the connection ended. `protocol`: the peer broke
 * the protocol. `closed`: we closed it. `overloaded`: too many calls wait already.
 */
export type ConnectionTrouble = "unreachable" | "lost" | "protocol" | "closed" | "overloaded";

/** There is no connection, or there is none any more. `cause` keeps what happened underneath. */
export class LibvirtConnectionError extends Error {
  override readonly name = "LibvirtConnectionError";
  readonly trouble: ConnectionTrouble;
  /** True when the call had been sent, so that libvirt may have done it: look before you do it again. */
  readonly maybeDone: boolean;

  constructor(
    trouble: ConnectionTrouble,
    message: string,
    more: { cause?: unknown; maybeDone?: boolean } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.trouble = trouble;
    this.maybeDone = more.maybeDone ?? false;
  }
}

/** No answer within the call's deadline. libvirt may still do what it was asked to when `maybeDone` is true. */
export class LibvirtTimeoutError extends Error {
  override readonly name = "LibvirtTimeoutError";
  readonly timeoutMs: number;
  readonly maybeDone: boolean;

  constructor(call: string, timeoutMs: number, maybeDone: boolean) {
    super(
      maybeDone
        ? `libvirt did not answer ${call} within ${timeoutMs} ms`
        : `${call} could not be sent to libvirt within ${timeoutMs} ms`,
    );
    this.timeoutMs = timeoutMs;
    this.maybeDone = maybeDone;
  }
}
