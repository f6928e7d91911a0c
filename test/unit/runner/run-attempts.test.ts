import { readdir } from "node:fs/promises";
import { expect, test } from "vitest";
import type { JobOrder, Listener } from "#host/runner/attempt.ts";
import type { House } from "#host/runner/ports.ts";
import { runAttempts } from "#host/runner/run-attempts.ts";
import { Fault, type FaultCode } from "#job/fault.ts";
import { Ended } from "#job/verdict.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

/** A house whose catalogue fails in one way after the other; nothing else of it is ever reached. */
function houseOf(...codes: readonly FaultCode[]): House {
  const left = [...codes];
  const resolve = async () => {
    throw new Fault(left.shift() ?? "bug", "drill");
  };
  return { images: { resolve } } as unknown as House;
}

function order(resultsFolder: string, attempts: number): JobOrder {
  return {
    spec: {
      image: "paper",
      cpus: 1,
      memoryMiB: undefined,
      diskMiB: undefined,
      network: "nat",
      timeoutSeconds: 60,
      attempts,
      inputs: [],
      env: {},
      steps: [
        {
          name: "a",
          run: "b",
          when: "success",
          timeoutSeconds: undefined,
          silenceSeconds: undefined,
        },
      ],
      artifacts: [],
    },
    job: "0123456789abcdef",
    resultsFolder,
    acceleration: "tcg",
    keep: false,
    logLimitBytes: 1024,
  };
}

function listenerTo(lines: string[]): Listener {
  const ignore = () => undefined;
  return {
    enter: ignore,
    takenUp: ignore,
    image: ignore,
    requirement: ignore,
    inputsSent: ignore,
    progress: (line) => lines.push(line),
    stepBegins: ignore,
    stepLog: ignore,
    stepEnds: ignore,
    leak: ignore,
  };
}

async function codesOf(house: House, attempts: number, cancel = new AbortController().signal) {
  await using folder = await scratchFolder();
  const lines: string[] = [];
  const reports = await runAttempts(house, order(folder.path, attempts), listenerTo(lines), cancel);
  const codes = reports.map(({ verdict }) =>
    verdict.kind === "broken" ? verdict.fault.code : verdict.kind,
  );
  return { codes, lines, results: (await readdir(folder.path)).sort() };
}

test("what broke is tried again, as often as the job asks, and the evidence of each try is kept", async () => {
  const house = houseOf("image-damaged", "host-disk-full", "libvirt-unreachable", "image-damaged");
  expect(await codesOf(house, 3)).toEqual({
    codes: ["image-damaged", "host-disk-full", "libvirt-unreachable"],
    lines: [
      "attempt 1 of 3 broke (image-damaged), trying again",
      "attempt 2 of 3 broke (host-disk-full), trying again",
    ],
    results: ["attempt-1", "attempt-2", "steps"],
  });
});

test("a job that asks for one attempt gets one", async () => {
  expect((await codesOf(houseOf("image-damaged"), 1)).codes).toEqual(["image-damaged"]);
});

test("a fault that every attempt would meet is not tried again", async () => {
  expect((await codesOf(houseOf("image-damaged", "image-unknown"), 5)).codes).toEqual([
    "image-damaged",
    "image-unknown",
  ]);
});

test("nothing is tried again after a cancel", async () => {
  const cancel = AbortSignal.abort(new Ended("cancelled", "drill"));
  expect((await codesOf(houseOf("image-damaged", "image-damaged"), 5, cancel)).codes).toHaveLength(
    1,
  );
});
