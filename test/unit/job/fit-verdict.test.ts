import { expect, test } from "vitest";
import { Fault } from "#job/fault.ts";
import { fitRefusal, fitVerdict } from "#job/fit-verdict.ts";
import { reportOf, type Verdict } from "#job/verdict.ts";
import { refusedSchema, verdictSchema } from "#job/verdict-schema.ts";
import { compileSchema } from "#lib/validate.ts";

const check = compileSchema(verdictSchema);
const LONG = `\0\ud800${"é\n".repeat(20_000)}`;

function broken(evidence: Record<string, string | number | boolean | string[]>): Verdict {
  const fault = new Fault("machine-crashed", LONG, { stage: LONG, evidence });
  return { kind: "broken", fault: reportOf(fault) };
}

test.each<Verdict>([
  { kind: "passed" },
  { kind: "failed", why: LONG },
  broken({ text: LONG, lines: Array(500).fill(LONG), number: Number.NaN, flag: true }),
  broken(Object.fromEntries(Array.from({ length: 99 }, (_, at) => [`${at}${LONG}`, at]))),
])("any verdict fits: $kind", (verdict) => {
  expect(check(JSON.parse(JSON.stringify(fitVerdict(verdict))))).toEqual([]);
});

test("a verdict that fits stays as it is", () => {
  const verdict = broken({ console: ["a", "b"], exitCode: 1 });
  const short = {
    ...verdict,
    fault: { ...("fault" in verdict ? verdict.fault : {}), stage: "x", message: "m" },
  };
  expect(fitVerdict(short as Verdict)).toEqual(short);
});

test("evidence together is short, whatever it is made of", () => {
  const much = Object.fromEntries(
    Array.from({ length: 32 }, (_, at) => [`key-${at}`, Array<string>(200).fill("x".repeat(900))]),
  );
  expect(JSON.stringify(fitVerdict(broken(much))).length).toBeLessThan(200_000);
});

test("of many lines the last ones are kept", () => {
  const fit = fitVerdict(broken({ console: Array.from({ length: 300 }, (_, at) => `${at}`) }));
  expect(fit.fault?.evidence["console"]).toHaveLength(200);
  expect(fit.fault?.evidence["console"]).toContain("299");
});

test("names and reasons of what was refused fit, whatever a guest made of them", () => {
  const checkRefusal = compileSchema(refusedSchema);
  for (const text of ["", "a", LONG, "\u202e\u0007".repeat(600)])
    expect(checkRefusal(fitRefusal({ name: text, why: text }))).toEqual([]);
});
