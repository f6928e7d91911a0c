import { expect, test } from "vitest";
import { domainState, lifecycleDetail, stateReason } from "#libvirt/domain-names.ts";
import { Download, LibvirtStreamError } from "#libvirt/download.ts";
import { LibvirtError } from "#libvirt/error.ts";
import { errorCodeName, errorDomainName } from "#libvirt/error-names.ts";
import { EVENTS_MAX, EventQueue } from "#libvirt/event-queue.ts";
import { flags } from "#libvirt/flags.ts";
import { DOMAIN_EVENT, PROCEDURE } from "#libvirt/protocol.ts";
import { Pulse } from "#libvirt/pulse.ts";

const FREE = { taken: 0, abandoned: 0, max: 5 };
const BUSY = { taken: 5, abandoned: 4, max: 5 };
const WEDGED = { taken: 5, abandoned: 5, max: 5 };

test("silence is asked about, and is death when nothing answers", () => {
  const pulse = new Pulse(2);
  expect(pulse.look(FREE)).toBe("alive");
  expect(pulse.look(FREE)).toBe("ask");
  expect(pulse.look(FREE)).toBe("ask");
  expect(pulse.look(FREE)).toEqual({ dead: expect.stringContaining("stopped answering") });
});

test("any answer begins the count again", () => {
  const pulse = new Pulse(1);
  for (let round = 0; round < 10; round += 1) {
    expect(pulse.look(FREE)).toBe("alive");
    expect(pulse.look(FREE)).toBe("ask");
    pulse.heard();
  }
});

test("silence does not count while all slots are taken, and begins anew afterwards", () => {
  const pulse = new Pulse(1);
  for (let round = 0; round < 10; round += 1) expect(pulse.look(BUSY)).toBe("alive");
  expect(pulse.look(FREE)).toBe("ask");
  expect(pulse.look(FREE)).toEqual({ dead: expect.anything() });
});

test("slots that are all taken by calls that nobody waits for are death, whatever else is heard", () => {
  const pulse = new Pulse(2);
  for (let round = 0; round < 2; round += 1) {
    pulse.heard();
    expect(pulse.look(WEDGED)).toBe("alive");
  }
  pulse.heard();
  expect(pulse.look(WEDGED)).toEqual({ dead: expect.stringContaining("given up") });
});

test("a stream is gathered to its end, and what comes after it was given up is swallowed", () => {
  const whole = new Download(5);
  expect(whole.take(Buffer.from("abc"))).toBe(false);
  expect(whole.take(Buffer.from("de"))).toBe(false);
  expect(whole.take(Buffer.alloc(0))).toBe(true);
  expect(whole.isFlowing).toBe(false);
  expect(whole.bytes().toString()).toBe("abcde");
  const large = new Download(5);
  large.take(Buffer.from("abcde"));
  expect(() => large.take(Buffer.from("f"))).toThrow(LibvirtStreamError);
  expect(large.abort()).toBe(true);
  expect(large.abort()).toBe(false);
  expect(large.take(Buffer.from("more"))).toBe(false);
  expect(large.bytes().length).toBe(0);
});

test("a stream that goes on and on after it was given up is an error of another kind", () => {
  const download = new Download(5);
  download.abort();
  const packet = Buffer.alloc(1024 * 1024);
  const error = (() => {
    try {
      for (let sent = 0; sent < 100; sent += 1) download.take(packet);
    } catch (reason) {
      return reason;
    }
    return undefined;
  })();
  expect(error).toBeInstanceOf(Error);
  expect(error).not.toBeInstanceOf(LibvirtStreamError);
});

test("a full queue drops the oldest events and says so once", () => {
  const queue = new EventQueue();
  const event = (dropped: number) => ({ kind: "overflow" as const, dropped });
  for (let number = 0; number < EVENTS_MAX + 3; number += 1) queue.push(event(number));
  expect(queue.take()).toEqual(event(3));
  expect(queue.take()).toEqual(event(3));
  for (let number = 4; number < EVENTS_MAX + 3; number += 1)
    expect(queue.take()).toEqual(event(number));
  expect(queue.take()).toBeUndefined();
});

test("a reader that waits is woken by the next event", async () => {
  const queue = new EventQueue();
  const arrival = queue.arrival();
  queue.push({ kind: "connected" });
  await arrival;
  expect(queue.take()).toEqual({ kind: "connected" });
});

test("flags are the bits that are set", () => {
  expect(flags([true, 1], [false, 2], [undefined, 4], [true, 8])).toBe(9);
  expect(flags()).toBe(0);
});

test.each([
  [0, "VIR_ERR_OK"],
  [1, "VIR_ERR_INTERNAL_ERROR"],
  [3, "VIR_ERR_NO_SUPPORT"],
  [9, "VIR_ERR_OPERATION_FAILED"],
  [38, "VIR_ERR_SYSTEM_ERROR"],
  [41, "VIR_WAR_NO_NETWORK"],
  [42, "VIR_ERR_NO_DOMAIN"],
  [43, "VIR_ERR_NO_NETWORK"],
  [55, "VIR_ERR_OPERATION_INVALID"],
  [68, "VIR_ERR_OPERATION_TIMEOUT"],
  [84, "VIR_ERR_OPERATION_UNSUPPORTED"],
  [88, "VIR_ERR_ACCESS_DENIED"],
  [113, "VIR_ERR_AGENT_COMMAND_FAILED"],
  [9_999, "VIR_ERR_9999"],
  [-1, "VIR_ERR_-1"],
])("error %i is %s", (code, name) => {
  expect(errorCodeName(code)).toBe(name);
});

test.each([
  [0, "VIR_FROM_NONE"],
  [10, "VIR_FROM_QEMU"],
  [12, "VIR_FROM_TEST"],
  [19, "VIR_FROM_NETWORK"],
  [20, "VIR_FROM_DOMAIN"],
  [60, "VIR_FROM_POLKIT"],
  [9_999, "VIR_FROM_9999"],
])("error domain %i is %s", (domain, name) => {
  expect(errorDomainName(domain)).toBe(name);
});

test("an error without a message says which call was refused", () => {
  const said = { code: 1, domain: 0, level: 1, message: undefined, details: [] };
  expect(new LibvirtError("domainCreate", said)).toMatchObject({
    message: "libvirt refused domainCreate and did not say why",
    level: "warning",
  });
});

test("numbers that are newer than our names are unknown", () => {
  expect(domainState(5)).toBe("shutoff");
  expect(domainState(99)).toBe("unknown");
  expect(stateReason("shutoff", 3)).toBe("crashed");
  expect(stateReason("shutoff", 99)).toBe("unknown");
  expect(stateReason("blocked", 0)).toBe("unknown");
  expect(lifecycleDetail("stopped", 5)).toBe("failed");
  expect(lifecycleDetail("unknown", 5)).toBe("unknown");
});

test("no two procedures or events share a number", () => {
  const numbers = [
    ...Object.values(PROCEDURE).map(({ program, number }) => `${program}/${number}`),
    ...Object.values(DOMAIN_EVENT).map(({ procedure }) => `event/${procedure}`),
  ];
  expect(new Set(numbers).size).toBe(numbers.length);
});
