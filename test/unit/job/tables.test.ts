import fc from "fast-check";
import { expect, test } from "vitest";
import { Fault } from "#job/fault.ts";
import { isOurMachine, machineName, machineUuid } from "#job/machine-name.ts";
import { isLegalMove, NEXT_PHASES, type Phase } from "#job/phase.ts";
import { Ended, verdictOf } from "#job/verdict.ts";

const INSTALLATION = "0123456789abcdef0123456789abcdef";

test("every phase but the last two may fall to settled, and nothing else skips", () => {
  const order = Object.keys(NEXT_PHASES) as Phase[];
  for (const [at, from] of order.entries()) {
    for (const [to, target] of order.entries()) {
      const isNext = to === at + 1;
      const isFall = target === "settled" && at < order.indexOf("settled");
      expect(isLegalMove(from, target), `${from} to ${target}`).toBe(isNext || isFall);
    }
  }
});

test("the same attempt always has the same name and UUID, another one another", () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1 }), (job, attempt) => {
      const identity = { installation: INSTALLATION, job, attempt };
      const other = { ...identity, attempt: attempt + 1 };
      expect(machineName(identity)).toBe(machineName({ ...identity }));
      expect(machineName(identity)).not.toBe(machineName(other));
      expect(machineUuid(identity)).not.toBe(machineUuid(other));
      expect(machineUuid(identity)).toMatch(
        /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
      expect(isOurMachine(machineName(identity), INSTALLATION)).toBe(true);
    }),
  );
});

test("a fault is found along the chain of causes, and what has none is a bug", () => {
  const fault = new Fault("host-no-room", "full");
  expect(Fault.from(new Error("outer", { cause: new Error("inner", { cause: fault }) }))).toBe(
    fault,
  );
  expect(Fault.from("a string").code).toBe("bug");
  const loop = new Error("loop");
  loop.cause = loop;
  expect(Fault.from(loop).code).toBe("bug");
});

test("a cancel or a deadline becomes that verdict, however it was wrapped", () => {
  const wrapped = new Error("aborted", { cause: new Ended("cancelled", "Ctrl-C") });
  expect(verdictOf(wrapped)).toEqual({ kind: "cancelled", why: "Ctrl-C" });
  expect(verdictOf(new Ended("timed-out", "late")).kind).toBe("timed-out");
  expect(verdictOf(new TypeError("oops"))).toMatchObject({
    kind: "broken",
    fault: { code: "bug" },
  });
});
