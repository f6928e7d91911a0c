import { describe, expect, test } from "vitest";
import type { AdoptOrder, Hypervisor, MachineOrder } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { eventually } from "#test/kit/eventually.ts";

/** A hypervisor under test. `order` makes a machine's folder, disk and seed, for an attempt that is new each time. */
export type HypervisorRoom = AsyncDisposable & {
  readonly hypervisor: Hypervisor;
  /** Another one over the same machines, as a later process has it; the room closes it. */
  another(): Hypervisor;
  /** What a SIGKILL of the machine's QEMU process does. */
  crash(name: string): Promise<void>;
  order(installation: string, slot?: number): Promise<MachineOrder>;
};

const OURS = "0123456789abcdef0123456789abcdef";
const THEIRS = "fedcba9876543210fedcba9876543210";
const adoption = (order: MachineOrder, startedAtMs = 0): AdoptOrder => ({ ...order, startedAtMs });
const inTime = () => AbortSignal.timeout(60_000);

/** What every hypervisor promises; nothing else may be relied on by the runner. */
export function describeHypervisor(name: string, make: () => Promise<HypervisorRoom>): void {
  describe(name, () => {
    test("lists a machine that was booted, and not after it was disposed, twice", async () => {
      await using room = await make();
      const order = await room.order(OURS);
      const machine = await room.hypervisor.boot(order, inTime());
      expect(await room.hypervisor.list(OURS, inTime())).toEqual([order.name]);
      expect(machine.ended.aborted).toBe(false);
      await machine[Symbol.asyncDispose]();
      await machine[Symbol.asyncDispose]();
      expect(await room.hypervisor.list(OURS, inTime())).toEqual([]);
    });

    test("refuses to boot an attempt twice, and spares the first machine", async () => {
      await using room = await make();
      const order = await room.order(OURS);
      await using machine = await room.hypervisor.boot(order, inTime());
      const second = await room.hypervisor.boot(order, inTime()).catch(Fault.from);
      expect(second).toMatchObject({ code: "machine-refused" });
      expect(await room.hypervisor.list(OURS, inTime())).toEqual([machine.name]);
      expect(machine.ended.aborted).toBe(false);
    });

    test("adopts what another process booted: it is heard, looked at and disposed like one's own", async () => {
      await using room = await make();
      const order = await room.order(OURS);
      const first = await room.hypervisor.boot(order, inTime());
      const later = room.another();
      const machine = (await later.adopt(adoption(order, -5_000), inTime())) ?? expect.fail();
      expect(machine).toMatchObject({ name: order.name, acceleration: "tcg", startedAtMs: -5_000 });
      expect(machine.ended.aborted).toBe(false);
      await eventually(async () => (await machine.console.size()) > 0, 30_000);
      expect((await machine.addresses(inTime())).length).toBeGreaterThan(0);
      expect(await machine.evidence()).toMatchObject({ machineState: "running" });
      const picture = (await machine.screenshot(inTime())) ?? expect.fail();
      expect(Buffer.from(picture).subarray(1, 4).toString()).toBe("PNG");
      await machine[Symbol.asyncDispose]();
      expect(await room.hypervisor.list(OURS, inTime())).toEqual([]);
      await first[Symbol.asyncDispose]();
    });

    test("adopts twice: the newest object hears, and an older one hears nothing and leaves the machine", async () => {
      await using room = await make();
      const order = await room.order(OURS);
      const first = await room.hypervisor.boot(order, inTime());
      const second = await room.hypervisor.adopt(adoption(order), inTime());
      await using third = (await room.hypervisor.adopt(adoption(order), inTime())) ?? expect.fail();
      await first[Symbol.asyncDispose]();
      await second?.[Symbol.asyncDispose]();
      expect(await room.hypervisor.list(OURS, inTime())).toEqual([order.name]);
      await room.crash(order.name);
      await eventually(() => third.ended.aborted, 5_000);
      expect(third.ended.reason).toMatchObject({ code: "machine-crashed" });
      expect(first.ended.aborted || second?.ended.aborted).toBe(false);
    });

    test("adopts a machine that stopped meanwhile as ended, with how", async () => {
      await using room = await make();
      const order = await room.order(OURS);
      const first = await room.hypervisor.boot(order, inTime());
      await eventually(async () => (await first.console.size()) > 0, 30_000);
      await room.crash(order.name);
      await eventually(() => first.ended.aborted, 5_000);
      await using machine =
        (await room.another().adopt(adoption(order), inTime())) ?? expect.fail();
      expect(machine.ended.reason).toMatchObject({ code: "machine-crashed" });
      expect((await machine.console.tail(16)).length).toBeGreaterThan(0);
    });

    test("adopts nothing that is not there, or that is not provably this attempt's, and leaves that alone", async () => {
      await using room = await make();
      const { hypervisor } = room;
      const order = await room.order(OURS);
      expect(await hypervisor.adopt(adoption(order), inTime())).toBeUndefined();
      await using machine = await hypervisor.boot(order, inTime());
      const other = { ...order, identity: { ...order.identity, attempt: 2 } };
      expect(await room.another().adopt(adoption(other), inTime())).toBeUndefined();
      expect(await hypervisor.list(OURS, inTime())).toEqual([order.name]);
      expect(machine.ended.aborted).toBe(false);
    });

    test("adopts nothing when it is cancelled before", async () => {
      await using room = await make();
      const order = await room.order(OURS);
      await using machine = await room.hypervisor.boot(order, inTime());
      const why = new Fault("bug", "cancelled");
      const ended = await room.hypervisor
        .adopt(adoption(order), AbortSignal.abort(why))
        .catch((error: unknown) => error);
      expect(ended).toBe(why);
      expect(machine.ended.aborted).toBe(false);
    });

    test("touches nothing of another installation", async () => {
      await using room = await make();
      await using machine = await room.hypervisor.boot(await room.order(THEIRS, 1), inTime());
      expect(await room.hypervisor.list(OURS, inTime())).toEqual([]);
      await room.hypervisor.remove(OURS, machine.name, inTime());
      expect(await room.hypervisor.list(THEIRS, inTime())).toEqual([machine.name]);
    });

    test("removes a machine by name, twice, and tells who holds it", async () => {
      await using room = await make();
      await using machine = await room.hypervisor.boot(await room.order(OURS), inTime());
      await room.hypervisor.remove(OURS, machine.name, inTime());
      await room.hypervisor.remove(OURS, machine.name, inTime());
      expect(await room.hypervisor.list(OURS, inTime())).toEqual([]);
      await eventually(() => machine.ended.aborted, 5_000);
      expect(machine.ended.reason).toMatchObject({ code: "machine-destroyed" });
    });

    test("boots nothing when it is cancelled before", async () => {
      await using room = await make();
      const why = new Fault("bug", "cancelled");
      const ended = await room.hypervisor
        .boot(await room.order(OURS), AbortSignal.abort(why))
        .catch((error: unknown) => error);
      expect(ended).toBe(why);
      expect(await room.hypervisor.list(OURS, inTime())).toEqual([]);
    });

    test("leaves a kept machine running when it is disposed", async () => {
      await using room = await make();
      const machine = await room.hypervisor.boot(await room.order(OURS), inTime());
      machine.keep();
      await machine[Symbol.asyncDispose]();
      expect(await room.hypervisor.list(OURS, inTime())).toEqual([machine.name]);
      await room.hypervisor.remove(OURS, machine.name, inTime());
    });

    test("has the console of a machine that speaks, and at least one address to try", async () => {
      await using room = await make();
      await using machine = await room.hypervisor.boot(await room.order(OURS), inTime());
      await eventually(async () => (await machine.console.size()) > 0, 30_000);
      expect((await machine.console.tail(16)).length).toBeGreaterThan(0);
      expect((await machine.addresses(inTime())).length).toBeGreaterThan(0);
      expect(await machine.console.panic()).toBeUndefined();
      expect(await machine.evidence()).toMatchObject({ machineState: "running" });
    });
  });
}
