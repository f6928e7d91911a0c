import { describe, expect, test } from "vitest";
import type { Hypervisor, MachineOrder } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { eventually } from "#test/kit/eventually.ts";

/** A hypervisor under test. `order` makes a machine's folder, disk and seed, for an attempt that is new each time. */
export type HypervisorRoom = AsyncDisposable & {
  readonly hypervisor: Hypervisor;
  order(installation: string, slot?: number): Promise<MachineOrder>;
};

const OURS = "0123456789abcdef0123456789abcdef";
const THEIRS = "fedcba9876543210fedcba9876543210";
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
