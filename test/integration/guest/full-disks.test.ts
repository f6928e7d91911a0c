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
    expect(ran.stdout.length).toBeGreaterThan(524_288);
    expect(ran.stdout.length).toBeLessThan(14 * lines);
    expect(whole.startsWith(ran.stdout)).toBe(true);
    expect(ran.stderr).toBe(`end ended code 6 ${whole.length}\n`);
  });

  test(`${name}: a step that fills the runner's own folder comes to its end, with what it said of that`, async () => {
    await using guest = await userland(name);
    const fill = "for size in 65536 512 1; do dd if=/dev/zero bs=$size of=run/full$size; done 2>&1";
    const text = `seq 9; ${fill} | grep -c 'No space'; sleep 9; exit 6`;
    const ran = await guest.stepWithDisk("run", "true", text, "2");
    expect(ran.stdout).toMatch(/^1\n2\n3\n4\n5\n6\n7\n8\n9\n3\n$/);
    expect(ran.stderr).toMatch(/^end timed-out signal 143 20\n$/m);
  });

  test(`${name}: when the runner's own folder is full a log ends with what fits, and that is told`, async () => {
    await using guest = await userland(name);
    const fill =
      "for size in 65536 512 1; do dd if=/dev/zero bs=$size of=run/full$size; done 2>/dev/null";
    const text = `seq 10001 10010; ${fill}; seq 10011 20000; rm run/full*; seq 20001 99999; exit 6`;
    const ran = await guest.stepWithDisk("run", "true", text);
    const whole = Array.from({ length: 89_999 }, (_, i) => `${i + 10_001}\n`).join("");
    expect(ran.stdout.length).toBeGreaterThan(3000);
    expect(whole.startsWith(ran.stdout)).toBe(true);
    expect(ran.stderr).toBe("end ended code 6 lost\n");
  });

  test(`${name}: a step for which there is no room never begins`, async () => {
    await using guest = await userland(name);
    const fill =
      "for size in 65536 512 1; do dd if=/dev/zero bs=$size of=run/full$size; done 2>/dev/null";
    const ran = await guest.stepWithDisk("run", fill, "echo never");
    expect(ran).toMatchObject({ stdout: "", code: 74 });
    expect(ran.stderr).toContain(`no room in ${guest.state}\n`);
  });
}
