import { expect, test } from "vitest";
import { expectNothingLeft } from "#test/kit/leftovers.ts";
import { startJob } from "#test/kit/testbed.ts";

// Building the image takes a minute or two, booting it under emulation another.
test("a job passes in debian-12, set up by cloud-init, with systemd running and files home", async () => {
  await using job = await startJob({
    image: "debian-12",
    timeout: "15m",
    env: { GREETING: 'it\'s "quoted" $HOME `x`\nand two lines' },
    steps: [
      {
        name: "cloud-init",
        run: "cloud-init status --wait && grep -q nocloud -i /run/cloud-init/cloud-id",
      },
      { name: "systemd", run: "systemctl is-system-running --wait" },
      {
        name: "greet",
        run: 'mkdir -p /out/deep && printf %s "$GREETING" | tee /out/deep/greeting',
      },
    ],
    artifacts: ["/out/**"],
  });
  const ran = await job.done;
  expect(ran.exitCode, ran.stderr).toBe(0);
  expect(await ran.read("artifacts/out/deep/greeting")).toBe(
    'it\'s "quoted" $HOME `x`\nand two lines',
  );
  expect((await ran.verdict()).verdict).toEqual({ kind: "passed" });
  await expectNothingLeft();
}, 1_200_000);
