import { defineConfig } from "vitest/config";

/**
 * Four tiers, one folder each. Only `unit` and `contract` are part of `npm run check`: they touch nothing outside the
 * process. `integration` needs libvirtd and OpenSSH installed, `e2e` boots machines.
 */
const tier = (name: string, testTimeout: number, isQuick: boolean) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout,
    hookTimeout: testTimeout,
    fileParallelism: isQuick,
    // As bin/testbed-node has it for all our processes. Without it V8 sweeps code pages in helper threads, and a process that opens and
    // ends many threads of its own is aborted now and then: "Check failed: jit_page.has_value()", see nodejs/node#64500.
    execArgv: ["--single-threaded-gc"],
    // A process for each file would take longer than what is in most of them; they share nothing that they change.
    isolate: !isQuick,
  },
});

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    passWithNoTests: false,
    projects: [
      tier("unit", 5_000, true),
      tier("contract", 10_000, true),
      tier("integration", 60_000, false),
      tier("e2e", 300_000, false),
    ],
  },
});
