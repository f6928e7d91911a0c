import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "#test/kit/house.ts";
import { expectNothingLeft } from "#test/kit/leftovers.ts";
import { startJob } from "#test/kit/testbed.ts";

// Building the image takes a minute or two, booting it under emulation another. It is booted twice: for the derived image, which is
// made of it with a compiler's packages, and as that.
test("a job compiles and passes in a derived debian-12, set up anew by cloud-init, with systemd running and files home", async () => {
  await using job = await startJob({
    image: "debian-12-tcc",
    timeout: "20m",
    env: { GREETING: 'it\'s "quoted" $HOME `x`\nand two lines' },
    inputs: [{ from: join(ROOT, "config/examples/greeting/hello.c"), to: "/build/hello.c" }],
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
      { name: "compile", run: "cd /build && tcc -o hello hello.c && ./hello" },
      // One machine's, and not of the machine that the image was made in.
      { name: "own", run: "ls /var/lib/cloud/instances && ls -A /var/lib/apt/lists" },
    ],
    artifacts: ["/out/**"],
  });
  const ran = await job.done;
  expect(ran.exitCode, ran.stderr).toBe(0);
  expect(await ran.read("artifacts/out/deep/greeting")).toBe(
    'it\'s "quoted" $HOME `x`\nand two lines',
  );
  expect(await ran.read("steps/04-compile.log")).toBe(
    "hello from a program that was compiled here\n",
  );
  const { verdict, machine } = await ran.verdict();
  expect(verdict).toEqual({ kind: "passed" });
  expect(await ran.read("steps/05-own.log")).toBe(`${(machine as { name: string }).name}\n`);
  await expectNothingLeft();
}, 1_500_000);
