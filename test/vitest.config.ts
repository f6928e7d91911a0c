import { defineConfig } from "vitest/config";

/** See bin/testbed-node. */
const NO_WRAPPER_TIER_UP = "--wasm-wrapper-tiering-budget=2000000000";

/**
 * Four tiers, one folder each. Only `unit` and `contract` are part of `npm run check`: they touch nothing outside the
 * process. `integration` needs libvirtd and OpenSSH installed, `e2e` boots machines. `drills` and `soak` are run by scripts of their
 * own, which choose among their tests.
 */
const tier = (
  name: string,
  testTimeout: number,
  isQuick: boolean,
  include = `test/${name}/**/*.test.ts`,
) => ({
  extends: true as const,
  test: {
    name,
    include: [include],
    testTimeout,
    hookTimeout: testTimeout,
    fileParallelism: isQuick,
    setupFiles: ["test/kit/compile-cache.ts"],
    execArgv: [NO_WRAPPER_TIER_UP],
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
      tier("drills", 600_000, false, "test/e2e/drills/{fakes,machines}.drill.ts"),
      tier("soak", 86_400_000, false, "test/e2e/drills/{soak,soak-power}.drill.ts"),
    ],
  },
});
