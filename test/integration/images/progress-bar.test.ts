import { join } from "node:path";
import { expect, test } from "vitest";
import { command, PATH } from "#test/kit/command.ts";
import { ROOT } from "#test/kit/house.ts";
import { toyCatalogue } from "#test/kit/toy-recipes.ts";

const inTime = () => AbortSignal.timeout(50_000);

test("what is read is a bar on a terminal, in one row that goes before the answer; elsewhere, and on a dumb one, it is not", async () => {
  await using toys = await toyCatalogue();
  // Longer than what is read in one piece.
  await toys.recipe("toy", { script: 'head -c 9000000 /dev/zero >"$1/initrd"' });
  await toys.images.resolve("toy", () => undefined, inTime());
  const verify = `${join(ROOT, "bin/testbed")} image verify toy`;
  const env = { PATH, TESTBED_STATE: toys.path, TESTBED_CATALOGUE: toys.recipes };
  const onTerminal = async (TERM: string) =>
    await command("script", ["-qec", `stty cols 100; ${verify}`, "/dev/null"], {
      env: { ...env, TERM },
    });
  const answer = "1 image read: nothing is damaged";
  const drawn = await onTerminal("xterm");
  expect(drawn.exitCode).toBe(0);
  // Each row takes the place of the one before, and the answer that of the last.
  const rows = drawn.stdout.split("\r\x1b[K");
  expect(rows.shift()).toBe("");
  expect(rows.pop()).toBe(`${answer}\r\n`);
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows)
    expect(row).toMatch(/^reading {2}\[#*\.+\] +\d+ % {2}[\d.]+ \w+ of [\d.]+ MiB$/);
  expect((await onTerminal("dumb")).stdout).toBe(`${answer}\r\n`);
  const piped = await command("sh", ["-c", `${verify} 2>&1`], { env: { ...env, TERM: "xterm" } });
  expect(piped.stdout).toBe(`${answer}\n`);
});
