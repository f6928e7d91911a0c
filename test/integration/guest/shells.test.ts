import { execFileSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { expect, test } from "vitest";
import { RUNNER_SCRIPT } from "#host/guest/runner.ts";
import { eventually } from "#test/kit/eventually.ts";
import { runnersIn, USERLAND_NAMES, userland } from "#test/kit/userland.ts";

/** The runner's function that reads what is written over a reserved byte. */
const GET = /^get\(\) \{.*?^\}/ms.exec(RUNNER_SCRIPT.toString())?.[0] ?? "";

for (const name of USERLAND_NAMES) {
  test(`${name}: a line that comes between its first byte and the next is read again`, async () => {
    await using guest = await userland(name);
    // What a shell has read that was in the middle of it comes by a pipe, in whose place the line then is.
    const torn =
      "{ exec 3>line; rm line; echo end ended >line; echo ' nd ended' >&3; } 2>/dev/null &";
    const script = `${GET}\nmkfifo line; ${torn} get line; echo "$got"; printf ' ' >empty; get empty || echo nothing`;
    const ran = await guest.start([join(guest.folder, "bin/sh"), "-c", script], "");
    expect(ran).toEqual({ stdout: "end ended\nnothing\n", stderr: "", code: 0 });
  });

  test(`${name}: output and exit status come back apart`, async () => {
    await using guest = await userland(name);
    const ran = await guest.step(1, "echo out; echo err >&2; exit 3");
    expect(ran).toEqual({ stdout: "out\nerr\n", stderr: "end ended code 3 8\n", code: 0 });
  });

  test(`${name}: a step begins with no signal ignored, and one that it sends itself ends it`, async () => {
    await using guest = await userland(name);
    const ran = await guest.step(1, "grep SigIgn /proc/self/status; kill -INT $$; echo survived");
    const stdout = "SigIgn:\t0000000000000000\n";
    expect(ran).toEqual({ stdout, stderr: `end ended code 130 ${stdout.length}\n`, code: 0 });
    const piped = await guest.step(2, "yes | head -n 1; kill -PIPE $$; echo survived");
    expect(piped).toEqual({ stdout: "y\n", stderr: "end ended code 141 2\n", code: 0 });
  });

  test(`${name}: a log is cut exactly, and everything is counted`, async () => {
    await using guest = await userland(name);
    const ran = await guest.step(1, "head -c 3000000 /dev/zero; exit 5", ["51200", "0", "0"]);
    expect(ran.stdout).toHaveLength(51_200);
    expect(ran.stderr).toBe("end ended code 5 3000000\n");
  });

  test(`${name}: a log longer than what is kept in memory comes whole, cut at any byte, from any byte`, async () => {
    await using guest = await userland(name);
    const whole = Array.from({ length: 200_000 }, (_, i) => `${i + 1}\n`).join("");
    const limits = ["1000001", "0", "0"];
    const ran = await guest.step(1, "seq 200000; exit 5", limits);
    expect(ran.stdout === whole.slice(0, 1_000_001)).toBe(true);
    expect(ran.stderr).toBe(`end ended code 5 ${whole.length}\n`);
    for (const offset of [300_000, 524_288, 600_000, 1_000_001]) {
      const again = await guest.run(["step", "1", String(offset), ...limits, "0", "1"], "x");
      expect(again.stdout === whole.slice(offset, 1_000_001)).toBe(true);
    }
  });

  test(`${name}: many small writes are cut exactly too`, async () => {
    await using guest = await userland(name);
    const text = "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo line $i; done";
    const whole = Array.from({ length: 4000 }, (_, i) => `line ${i + 1}\n`).join("");
    const ran = await guest.step(1, text, ["23456", "0", "0"]);
    expect(ran.stdout).toBe(whole.slice(0, 23_456));
    expect(ran.stderr).toBe(`end ended code 0 ${whole.length}\n`);
  });

  test(`${name}: a step that kills every dd that it finds still has a log`, async () => {
    await using guest = await userland(name);
    const file = join(guest.folder, "run/1");
    const killing = [
      `until [ "$(cat ${file}.head)" ]; do sleep 0.01; done`,
      `dd=$(cat ${file}.copier)`,
      "kill -9 $dd",
      `until [ "$(cat ${file}.copier)" != "$dd" ]; do sleep 0.01; done`,
    ];
    const ran = await guest.step(1, ["echo one", ...killing, "echo two"].join("; "));
    expect(ran.stdout).toBe("one\ntwo\n");
    expect(ran.stderr).toBe("end ended code 0 lost\n");
  });

  test(`${name}: a step that overruns or falls silent is ended`, async () => {
    await using guest = await userland(name);
    const slow = "echo begun; trap 'exit 9' TERM; sleep 100 & wait";
    const [late, silent] = await Promise.all([
      guest.step(1, slow, ["51200", "1", "0"]),
      guest.step(2, slow, ["51200", "0", "1"]),
    ]);
    expect(late.stderr).toBe("end timed-out code 9 6\n");
    expect(silent.stderr).toBe("end silent code 9 6\n");
  });

  test(`${name}: the log of a step that has ended takes up no room once another begins`, async () => {
    await using guest = await userland(name);
    await guest.step(1, "head -c 2000000 /dev/zero");
    const sizes = () => ["run/1.head", "logs/1"].map((at) => statSync(join(guest.folder, at)).size);
    expect(sizes()).toEqual([524_289, 524_288]);
    const second = await guest.step(2, "echo second");
    expect(second).toEqual({ stdout: "second\n", stderr: "end ended code 0 7\n", code: 0 });
    expect(sizes()).toEqual([0, 0]);
  });

  test(`${name}: following begins where it is told to`, async () => {
    await using guest = await userland(name);
    await guest.step(1, "printf 0123456789");
    const again = await guest.run(["step", "1", "4", "51200", "0", "0", "0", "4"], "true");
    expect(again).toEqual({ stdout: "456789", stderr: "end ended code 0 10\n", code: 0 });
  });

  test(`${name}: half a step is never started`, async () => {
    await using guest = await userland(name);
    const ran = await guest.run(["step", "1", "0", "51200", "0", "0", "0", "99"], "echo half");
    expect(ran).toEqual({ stdout: "", stderr: "", code: 71 });
  });

  test(`${name}: a step may leave something running that holds its output`, async () => {
    await using guest = await userland(name);
    const ran = await guest.step(1, "sleep 20 & echo $!");
    process.kill(Number(ran.stdout), "SIGKILL");
    expect(ran.stderr).toBe("end ended code 0 unknown\n");
  });

  test(`${name}: what a step leaves running and chatty is listened to for five seconds`, async () => {
    await using guest = await userland(name);
    const startedAtMs = performance.now();
    const ran = await guest.step(1, "(while sleep 0.05; do echo x; done) & echo $!");
    const tookMs = performance.now() - startedAtMs;
    process.kill(Number(ran.stdout.split("\n")[0]), "SIGKILL");
    expect(ran.stderr).toBe("end ended code 0 unknown\n");
    expect(tookMs).toBeGreaterThan(4500);
    expect(tookMs).toBeLessThan(7500);
  }, 30_000);

  test(`${name}: a runner whose folder is taken away under it ends with what it listens to`, async () => {
    await using guest = await userland(name);
    const ran = await guest.step(1, "(while sleep 0.05; do echo x; done) & echo $!");
    rmSync(guest.state, { recursive: true });
    process.kill(Number(ran.stdout.split("\n")[0]), "SIGKILL");
    await eventually(() => runnersIn(guest.folder).length === 0, 5000);
  }, 30_000);

  test(`${name}: each name of a file is collected with its content`, async () => {
    await using guest = await userland(name);
    mkdirSync(join(guest.folder, "out"));
    writeFileSync(join(guest.folder, "out/alone"), "alone");
    writeFileSync(join(guest.folder, "out/first"), "content");
    for (const other of ["second one", "-third"]) {
      linkSync(join(guest.folder, "out/first"), join(guest.folder, "out", other));
    }
    const ran = await guest.run(["collect", "."], "./out\n");
    expect(ran.stderr).toBe("");
    const archive = join(guest.folder, "got.tar");
    writeFileSync(archive, Buffer.from(ran.stdout, "latin1"));
    const listed = execFileSync("tar", ["-tvif", archive]).toString().trim().split("\n");
    const found = listed.map((line) => /^-\S+ +\S+ +(\d+) .*out\/(.*)$/.exec(line)?.slice(1));
    expect(found.sort()).toEqual([
      ["5", "alone"],
      ["7", "-third"],
      ["7", "first"],
      ["7", "second one"],
    ]);
  });

  test(`${name}: strange file names are collected as they are`, async () => {
    await using guest = await userland(name);
    const names = ["plain", "-rf", "a b", "$(x)", "`x`", "*", "[a]", "'", '"', "\\", "é", ";"];
    mkdirSync(join(guest.folder, "out/deep [x]/er"), { recursive: true });
    for (const file of names) {
      writeFileSync(join(guest.folder, "out", `${file}.txt`), "x");
      writeFileSync(join(guest.folder, "out/deep [x]/er", `${file}.txt`), "x");
    }
    writeFileSync(join(guest.folder, "out", "line\nbreak.txt"), "x");
    const ran = await guest.run(["collect", "."], "./out/**/*.txt\n./none\n");
    expect(ran.stderr.split("\n").sort()).toEqual(["", "breaks 1", "nothing 2"]);
    writeFileSync(join(guest.folder, "got.tar"), Buffer.from(ran.stdout, "latin1"));
    const listed = execFileSync("tar", [
      "-tf",
      join(guest.folder, "got.tar"),
      "--quoting-style=literal",
    ]);
    const expected = names.flatMap((file) => [`out/${file}.txt`, `out/deep [x]/er/${file}.txt`]);
    const got = listed.toString().trim().split("\n");
    expect(got.map((file) => file.replace(/^\.\//, "")).sort()).toEqual(expected.sort());
  });
}

test("who begins to follow while a log goes on to the disk misses nothing of it", async () => {
  await using guest = await userland("dash and coreutils");
  const head = join(guest.folder, "run/1.head");
  const more = join(guest.folder, "run/1.more");
  const go = join(guest.folder, "go");
  // Measures as ever, and is then so slow that the log has gone on to the disk before it answers.
  const slow = `size=$(/usr/bin/wc "$@"); : >${go}; until grep -q / ${more}; do sleep 0.01; done; echo "$size"`;
  writeFileSync(join(guest.folder, "bin/wc"), `#!/bin/sh\n${slow}\n`, { mode: 0o755 });
  const first = guest.step(
    1,
    `printf 0123456789; until [ -e ${go} ]; do sleep 0.01; done; seq 200000`,
  );
  await eventually(() => existsSync(head) && readFileSync(head, "utf8") === "\n0123456789", 10_000);
  const second = guest.run(["step", "1", "10", "1048576", "0", "0", "0", "1"], "x");
  await setTimeout(500);
  writeFileSync(go, "");
  const whole = (await first).stdout;
  expect(whole.length).toBeGreaterThan(1_000_000);
  expect((await second).stdout === whole.slice(10)).toBe(true);
});
