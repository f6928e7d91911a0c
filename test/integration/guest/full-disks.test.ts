import { expect, test } from "vitest";
import { USERLAND_NAMES, userland } from "#test/kit/userland.ts";

for (const name of USERLAND_NAMES) {
  test(`${name}: what a step says of a full disk comes home, and how it ended`, async () => {
    await using guest = await userland(name);
    const text = "echo no room; seq 1000 9999; exit 6";
    const ran = await guest.stepWithDisk("logs", "head -c 300000 /dev/zero >logs/full", text);
    expect(ran.stdout).toBe(
      `no room\n${Array.from({ length: 9000 }, (_, i) => `${i + 1000}\n`).join("")}`,
    );
    expect(ran.stderr).toContain("end ended code 6 45008\n");
  });

  test(`${name}: a disk that gets room again does not make a log with a gap`, async () => {
    await using guest = await userland(name);
    // More than the pipes and programs on its way can hold: once it is printed, some of it met the full disk.
    const lines = 100_000;
    const fill = "head -c 300000 /dev/zero >logs/full 2>/dev/null";
    const text = `seq 100001 200000; ${fill}; seq 200001 300000; rm logs/full; seq 300001 400000; exit 6`;
    const ran = await guest.stepWithDisk("logs", "true", text);
    const whole = Array.from({ length: 3 * lines }, (_, i) => `${i + 100_001}\n`).join("");
    expect(ran.stdout.length).toBeGreaterThan(7 * lines);
    expect(ran.stdout.length).toBeLessThan(14 * lines);
    expect(whole.startsWith(ran.stdout)).toBe(true);
    expect(ran.stderr).toBe(`end ended code 6 ${whole.length}\n`);
  });
}
