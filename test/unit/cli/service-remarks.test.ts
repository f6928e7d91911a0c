import { expect, test } from "vitest";
import { serviceRemarks } from "#cli/service/service-remarks.ts";
import type { Log } from "#lib/log.ts";
import { isSlow, isTelling } from "#service/api/remarks.ts";

/** A log that keeps what it is told: level, message, fields. */
function keeping() {
  const lines: unknown[][] = [];
  const say =
    (level: string) =>
    (...words: unknown[]) =>
      void lines.push([level, ...words]);
  const log: Log = {
    error: say("error"),
    warn: say("warn"),
    info: say("info"),
    debug: say("debug"),
  };
  return { log, lines };
}

test("the same refusal is said once a minute, that of another address by itself", () => {
  const { log, lines } = keeping();
  const { onRefused } = serviceRemarks(log);
  const refused = { operation: "takeLease", problem: "forbidden", detail: "not yours" } as const;
  for (let time = 0; time < 100; time += 1) onRefused({ ...refused, address: "192.0.2.1" });
  onRefused({ ...refused, address: undefined });
  expect(lines).toEqual([
    ["warn", "request refused", { ...refused, address: "192.0.2.1", unsaid: 0 }],
    ["warn", "request refused", { ...refused, address: "local", unsaid: 0 }],
  ]);
});

test("each attempt that is settled is a line, with whose fault it was if it broke", () => {
  const { log, lines } = keeping();
  const { onSettled, onBug } = serviceRemarks(log);
  const about = { job: "j1", attempt: 2, host: "lab-1", jobIs: "settled" } as const;
  onSettled({ ...about, verdict: { kind: "passed" } });
  const fault = {
    code: "host-disk-full",
    blame: "host",
    retry: "elsewhere",
    message: "m",
  } as const;
  onSettled({
    ...about,
    verdict: { kind: "broken", fault: { ...fault, evidence: { tail: "x" } } },
  });
  const error = new Error("nobody foresaw this");
  onBug(error);
  expect(lines).toEqual([
    ["info", "attempt settled", { ...about, verdict: "passed" }],
    [
      "info",
      "attempt settled",
      { ...about, verdict: "broken", fault: "host-disk-full", blame: "host" },
    ],
    ["error", "bug", { error }],
  ]);
});

test("what says something of who asks is worth a line, and what is slow though it waits for nobody", () => {
  expect((["forbidden", "fenced", "unauthenticated", "too-many"] as const).every(isTelling)).toBe(
    true,
  );
  expect((["not-found", "malformed", "full"] as const).some(isTelling)).toBe(false);
  expect(isSlow("submitJob", 1.1)).toBe(true);
  expect(isSlow("submitJob", 0.9)).toBe(false);
  expect(isSlow("takeLease", 30)).toBe(false);
});
