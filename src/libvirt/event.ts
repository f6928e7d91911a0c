import { decode } from "./codec.ts";
import {
  type IoErrorAction,
  ioErrorAction,
  type LifecycleEvent,
  lifecycleDetail,
  lifecycleEvent,
  type WatchdogAction,
  watchdogAction,
} from "./domain-names.ts";
import type { LibvirtConnectionError } from "./error.ts";
import { FRAME_STATUS, type Frame, PROGRAM } from "./frame.ts";
import { DOMAIN_EVENT } from "./protocol.ts";
import type { DomainRef } from "./protocol-values.ts";

/** Something that happened to a domain. */
export type DomainEvent =
  /**
   * `detail` says how, `stopped` with `failed` is a QEMU that died, `crashed` with `panicked` a guest's kernel. The numbers
   * are libvirt's, for what is newer than our names.
   */
  | {
      readonly kind: "lifecycle";
      readonly domain: DomainRef;
      readonly event: LifecycleEvent;
      readonly detail: string;
      readonly eventCode: number;
      readonly detailCode: number;
    }
  | { readonly kind: "reboot"; readonly domain: DomainRef }
  | { readonly kind: "watchdog"; readonly domain: DomainRef; readonly action: WatchdogAction }
  /** `reason` is `enospc` when the host's disk is full; it is empty when QEMU does not say. */
  | {
      readonly kind: "io-error";
      readonly domain: DomainRef;
      readonly path: string;
      readonly device: string;
      readonly action: IoErrorAction;
      readonly reason: string;
    }
  | { readonly kind: "control-error"; readonly domain: DomainRef };

/** Something that happened to the flow of events itself. After each but `disconnected`: list, and compare. */
type FlowEvent =
  /** Events flow from here on; the first of every iteration. */
  | { readonly kind: "connected" }
  /** The connection is lost; events are missed from here on. A new one is being made. */
  | { readonly kind: "disconnected"; readonly error: LibvirtConnectionError }
  /** Events flow again. What happened in between sent none. */
  | { readonly kind: "reconnected" }
  /** The reader was too slow, and this many events were dropped, the oldest first. */
  | { readonly kind: "overflow"; readonly dropped: number };

export type LibvirtEvent = DomainEvent | FlowEvent;

/** Reads an event message. Throws for one that we never asked for, or that is not what its procedure says. */
export function readEvent({ program, procedure, status, payload }: Frame): DomainEvent {
  if (program !== PROGRAM.remote || status !== FRAME_STATUS.ok)
    throw new Error(`an event message of program ${program} with status ${status}`);
  const { lifecycle, reboot, watchdog, ioError, controlError } = DOMAIN_EVENT;
  switch (procedure) {
    case lifecycle.procedure: {
      const { domain, event: eventCode, detail: detailCode } = decode(lifecycle.gives, payload);
      const event = lifecycleEvent(eventCode);
      const detail = lifecycleDetail(event, detailCode);
      return { kind: "lifecycle", domain, event, detail, eventCode, detailCode };
    }
    case reboot.procedure:
      return { kind: "reboot", domain: decode(reboot.gives, payload).domain };
    case watchdog.procedure: {
      const { domain, action } = decode(watchdog.gives, payload);
      return { kind: "watchdog", domain, action: watchdogAction(action) };
    }
    case ioError.procedure: {
      const { domain, path, device, action, reason } = decode(ioError.gives, payload);
      return { kind: "io-error", domain, path, device, action: ioErrorAction(action), reason };
    }
    case controlError.procedure:
      return { kind: "control-error", domain: decode(controlError.gives, payload).domain };
    default:
      throw new Error(`an event of unknown kind ${procedure}`);
  }
}
