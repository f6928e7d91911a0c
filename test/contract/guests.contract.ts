import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import type { Guest, GuestPlace, StepOrder } from "#host/runner/guest-port.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

/** A guest to test, and what a test needs to know of it. */
export type GuestUnderTest = {
  readonly guest: Guest;
  /** A folder in the guest where the test may write; empty. */
  readonly folder: string;
  /** Takes the guest up at a place, as another process would. */
  resume(place: GuestPlace): Promise<Guest>;
} & AsyncDisposable;

const NEVER = new AbortController().signal;

/** What every `Guest` promises, the fake and the real ones alike. Steps use nothing but the commands below. */
export function describeGuests(make: () => Promise<GuestUnderTest>): void {
  describe("a guest", () => {
    test("a step's log is its exact output, both streams, and its exit code comes home", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const order = step(home.path, 1, "printf 'out\\000\\n'; printf 'err' >&2; exit 3");
      const end = await at.guest.run(order, NEVER);
      expect(end).toEqual({ outcome: "failed", exitCode: 3, logBytes: 8, cutBytes: 0 });
      expect(await readFile(order.logPath, "latin1")).toBe("out\0\nerr");
    });

    test("a step that ends with 0 has passed", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const end = await at.guest.run(step(home.path, 1, "true"), NEVER);
      expect(end).toEqual({ outcome: "passed", exitCode: 0, logBytes: 0, cutBytes: 0 });
    });

    test("a step's environment arrives byte for byte", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const value = 'it\'s "quoted"\n$HOME `x` \\ \u00e9 ';
      const order = {
        ...step(home.path, 1, 'printf %s "$VALUE"'),
        env: { VALUE: value, EMPTY: "" },
      };
      await at.guest.run(order, NEVER);
      expect(await readFile(order.logPath, "utf8")).toBe(value);
    });

    test("a step that runs twice ran once", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const once = step(home.path, 1, `printf x >>${at.folder}/count; cat ${at.folder}/count`);
      const first = await at.guest.run(once, NEVER);
      const again = { ...once, logPath: join(home.path, "again.log") };
      const second = await at.guest.run(again, NEVER);
      expect(second).toEqual(first);
      expect(await readFile(again.logPath, "utf8")).toBe("x");
    });

    test("a log is cut at its limit, with a line that says so, and the step goes on", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const order = { ...step(home.path, 1, "printf '%5000d' 0; exit 4"), logLimitBytes: 1000 };
      const end = await at.guest.run(order, NEVER);
      expect(end).toEqual({ outcome: "failed", exitCode: 4, logBytes: 1000, cutBytes: 4000 });
      const log = await readFile(order.logPath, "utf8");
      expect(log.slice(1000)).toBe(
        "\n[testbed: log cut here after 1000 bytes; the step printed 4000 more]\n",
      );
    });

    test("a step that overruns its limit is killed and has timed out", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const end = await at.guest.run(
        step(home.path, 1, "printf begun; sleep 600", { timeoutSeconds: 1 }),
        NEVER,
      );
      expect(end).toMatchObject({ outcome: "timed-out", logBytes: 5 });
    });

    test("a step that says nothing for too long is killed and was silent", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const end = await at.guest.run(
        step(home.path, 1, "printf begun; sleep 600", { silenceSeconds: 1 }),
        NEVER,
      );
      expect(end).toMatchObject({ outcome: "silent", logBytes: 5 });
    });

    for (const attemptSecondsLeft of [1, 0, -5]) {
      test(`a step ends when its attempt has no time left, before its own limit: ${attemptSecondsLeft}`, async () => {
        await using at = await make();
        await using home = await scratchFolder();
        const limits = { timeoutSeconds: 500, attemptSecondsLeft };
        const end = await at.guest.run(step(home.path, 1, "sleep 600", limits), NEVER);
        expect(end).toMatchObject({ outcome: "timed-out", logBytes: 0 });
      });
    }

    test("a cancelled step is killed and throws the reason, with its log at home", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const cancel = new AbortController();
      const reason = new Error("cancelled by the test");
      const order: StepOrder = {
        ...step(home.path, 1, "printf begun; sleep 600"),
        onLog: () => cancel.abort(reason),
      };
      await expect(at.guest.run(order, cancel.signal)).rejects.toBe(reason);
      expect(await readFile(order.logPath, "utf8")).toBe("begun");
    });

    test("a step whose limits are far away is cancelled as soon as one without", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const cancel = new AbortController();
      const reason = new Error("cancelled by the test");
      const order = step(home.path, 1, "echo begun; sleep 600", { attemptSecondsLeft: 500 });
      const cancelled = { ...order, onLog: () => cancel.abort(reason) };
      const startedMs = performance.now();
      await expect(at.guest.run(cancelled, cancel.signal)).rejects.toBe(reason);
      expect(performance.now() - startedMs).toBeLessThan(8_000);
    });

    test("a log that was cut says so also when its step is cancelled", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const cancel = new AbortController();
      const reason = new Error("cancelled by the test");
      const sizes: unknown[] = [];
      const order: StepOrder = {
        ...step(home.path, 1, "printf '%5000d' 0; sleep 600"),
        logLimitBytes: 1000,
        onLog: () => cancel.abort(reason),
        onLogEnd: (size) => sizes.push(size),
      };
      await expect(at.guest.run(order, cancel.signal)).rejects.toBe(reason);
      expect(sizes).toEqual([{ logBytes: 1000, cutBytes: 4000 }]);
      const log = await readFile(order.logPath, "utf8");
      expect(log.slice(1000)).toBe(
        "\n[testbed: log cut here after 1000 bytes; the step printed 4000 more]\n",
      );
    });

    test("a file and a folder arrive under their names, with folders above them made", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      await mkdir(join(home.path, "in/sub"), { recursive: true });
      await writeFile(join(home.path, "in/sub/a file"), "content of a file");
      await writeFile(join(home.path, "one"), "one alone");
      let sent = 0;
      await at.guest.send(
        [
          { from: join(home.path, "in"), to: `${at.folder}/deep/er` },
          { from: join(home.path, "one"), to: `${at.folder}/other/name` },
        ],
        (bytes) => {
          sent = bytes;
        },
        NEVER,
      );
      expect(sent).toBeGreaterThanOrEqual("content of a fileone alone".length);
      const order = step(
        home.path,
        1,
        `cat "${at.folder}/deep/er/sub/a file" ${at.folder}/other/name`,
      );
      await at.guest.run(order, NEVER);
      expect(await readFile(order.logPath, "utf8")).toBe("content of a fileone alone");
    });

    test("an archive is unpacked in the guest; one that is none is refused there", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      const [archive, broken] = [join(home.path, "in.tar"), join(home.path, "broken.tar")];
      await mkdir(join(home.path, "in/sub"), { recursive: true });
      await writeFile(join(home.path, "in/sub/a file"), "from the archive");
      await promisify(execFile)("tar", ["-cf", archive, "-C", join(home.path, "in"), "."]);
      await writeFile(broken, "this is no archive ".repeat(100));
      const send = (from: string) =>
        at.guest.send(
          [{ from, to: `${at.folder}/deep/er`, isArchive: true }],
          () => undefined,
          NEVER,
        );
      await send(archive);
      const order = step(home.path, 1, `cat "${at.folder}/deep/er/sub/a file"`);
      await at.guest.run(order, NEVER);
      expect(await readFile(order.logPath, "utf8")).toBe("from the archive");
      await expect(send(broken)).rejects.toMatchObject({ code: "input-unreadable" });
    });

    test("an input that is not there is refused by its name", async () => {
      await using at = await make();
      const inputs = [{ from: "/nowhere/at/all", to: `${at.folder}/x` }];
      const sending = at.guest.send(inputs, () => undefined, NEVER);
      await expect(sending).rejects.toMatchObject({
        code: "input-unreadable",
        message: expect.stringContaining("/nowhere/at/all"),
      });
    });

    test("files come home by glob, under their paths, and what matched nothing is listed", async () => {
      await using at = await make();
      await using home = await scratchFolder();
      await mkdir(join(home.path, "in/sub"), { recursive: true });
      await writeFile(join(home.path, "in/a.txt"), "a");
      await writeFile(join(home.path, "in/sub/b.txt"), "bb");
      await writeFile(join(home.path, "in/c.bin"), "ccc");
      await at.guest.send(
        [{ from: join(home.path, "in"), to: `${at.folder}/out` }],
        () => undefined,
        NEVER,
      );
      const folder = join(home.path, "artifacts");
      const { artifacts, refused } = await at.guest.collect(
        [`${at.folder}/out/**/*.txt`, `${at.folder}/none/*`],
        folder,
        NEVER,
      );
      const below = `${at.folder.slice(1)}/out`;
      expect(artifacts.map(({ path, bytes }) => [path, bytes])).toEqual([
        [`${below}/a.txt`, 1],
        [`${below}/sub/b.txt`, 2],
      ]);
      expect(artifacts[0]?.sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(await readFile(join(folder, `${below}/sub/b.txt`), "utf8")).toBe("bb");
      expect(refused).toEqual([{ name: `${at.folder}/none/*`, why: "matched nothing" }]);
      expect((await readdir(folder)).length).toBe(1);
    });
  });
}

/** A step with a log in `folder`. */
export function step(
  folder: string,
  number: number,
  run: string,
  limits: { timeoutSeconds?: number; silenceSeconds?: number; attemptSecondsLeft?: number } = {},
): StepOrder {
  return {
    number,
    step: {
      name: `step ${number}`,
      run,
      when: "success",
      timeoutSeconds: limits.timeoutSeconds,
      silenceSeconds: limits.silenceSeconds,
    },
    env: {},
    logPath: join(folder, `${number}.log`),
    logLimitBytes: 1024 * 1024,
    // As in every attempt: far away, if nothing is said of it.
    attemptSecondsLeft: limits.attemptSecondsLeft ?? 3600,
    isBegun: false,
  };
}
