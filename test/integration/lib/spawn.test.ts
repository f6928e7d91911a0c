import { type FileHandle, open } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { outputOf, SpawnError } from "#lib/spawn.ts";
import { eventually } from "#test/kit/eventually.ts";
import { processesOf } from "#test/kit/processes.ts";

const TIMEOUT_MS = 20_000;

async function all(file: string, args: readonly string[], timeoutMs = TIMEOUT_MS) {
  await using input: FileHandle = await open("/dev/null");
  let text = "";
  const pieces = outputOf(file, args, { input: input.fd, timeoutMs });
  for await (const piece of pieces) text += piece.toString();
  return text;
}

async function errorOf(work: Promise<unknown>): Promise<SpawnError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SpawnError);
  return error as SpawnError;
}

describe("a program's output as it comes", () => {
  test("is all of it, from the file that it reads", async () => {
    await using input = await open(import.meta.filename);
    let bytes = 0;
    const pieces = outputOf("cat", [], { input: input.fd, timeoutMs: TIMEOUT_MS });
    for await (const piece of pieces) bytes += piece.length;
    expect(bytes).toBe((await input.stat()).size);
  });

  test("ends with the error that the program ended with", async () => {
    const failed = await errorOf(all("sh", ["-c", "echo some; echo why >&2; exit 3"]));
    expect(failed).toMatchObject({ exitCode: 3, stderrTail: "why" });
    expect(await errorOf(all("no-such-program", []))).toMatchObject({ isMissing: true });
    const slow = await errorOf(all("sleep", ["600"], 100));
    expect(slow.message).toBe("sleep took longer than 100 ms");
  });

  test("ends with the reason of who stopped it", async () => {
    await using input = await open("/dev/null");
    const stop = new AbortController();
    const reason = new Error("enough");
    const script = ["-c", "echo begun; exec sleep 600"];
    const options = { input: input.fd, timeoutMs: TIMEOUT_MS, signal: stop.signal };
    const work = async () => {
      for await (const piece of outputOf("sh", script, options)) {
        expect(piece.toString()).toBe("begun\n");
        stop.abort(reason);
      }
    };
    expect((await errorOf(work())).cause).toBe(reason);
    await expect(work()).rejects.toBe(reason);
  });

  test("ends the program when its reader leaves, however much there would be", async () => {
    await using input = await open("/dev/null");
    const mark = `left-early-${process.pid}`;
    const options = { input: input.fd, timeoutMs: TIMEOUT_MS };
    for await (const piece of outputOf("yes", [mark], options)) {
      expect(piece.toString()).toContain(mark);
      expect(await processesOf("yes", mark)).toHaveLength(1);
      break;
    }
    await eventually(async () => (await processesOf("yes", mark)).length === 0, TIMEOUT_MS);
  });
});
