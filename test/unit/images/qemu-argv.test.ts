import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "#test/kit/house.ts";

/**
 * What a guest has written begins as it likes, so QEMU's programs are never left to guess what a file is (CVE-2014-3641, CVE-2026-24708),
 * and machines' disks are never given to them, but for one: the disk that a derived image is made of, whose header is checked before.
 */
const PROGRAM = /\bqemu-(?:img|io|nbd|storage-daemon)\b/;

/** The files of the source that may name such a program, and what they have to do with it. */
const NAMING: Readonly<Record<string, string>> = {
  "src/host/images/build/flatten.ts": "makes an image of a stopped machine's disk",
  "src/host/images/build/preconditions.ts": "looks whether it is installed",
  "src/host/doctor/tools.ts": "looks whether it is installed",
  "src/host/images/inspect/inspect-disk.ts": "speaks of its answers",
  "src/host/images/inspect/confined.ts": "explains a limit",
  "src/host/images/inspect/qemu-info.ts": "runs it",
  "src/host/images/store/qcow2-overlay.ts": "is there instead of it",
};

const filesBelow = (folder: string) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8", withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length).replace(/^\//, ""));
const textOf = (path: string) => readFileSync(join(ROOT, path), "utf8");

/** Each call of such a program in a text: a list of words in brackets, or a line of a shell script. */
const callsIn = (path: string) =>
  path.endsWith(".sh")
    ? textOf(path)
        .split("\n")
        .filter((line) => !/^\s*#/.test(line) && PROGRAM.test(line))
    : [...textOf(path).matchAll(/\[\s*"qemu-[^\]]*\]/g)].map(([call]) => call);

test("no other file of the source names a program that opens disks", () => {
  const files = filesBelow("src");
  expect(files.length).toBeGreaterThan(100);
  const naming = files.filter((path) => PROGRAM.test(textOf(path)));
  expect(naming.sort()).toEqual(Object.keys(NAMING).sort());
});

test("every call of the source says the format, and is about the file that is judged", () => {
  const [flatten, ...calls] = Object.keys(NAMING).flatMap(callsIn);
  expect(flatten).toContain('"convert", "-q", "-f", "qcow2", "-O", "qcow2", overlay, target]');
  expect(textOf("src/host/images/build/flatten.ts")).toContain("checkOverlay(overlay, base.disk)");
  expect(calls).toHaveLength(2);
  for (const call of calls) expect(call).toMatch(/"-f", (?:format|"qcow2"), "--", JUDGED\]/);
});

test("every call of a recipe says the formats", () => {
  const calls = filesBelow("images")
    .filter((path) => path.endsWith(".sh"))
    .flatMap(callsIn);
  expect(calls.length).toBeGreaterThan(1);
  for (const call of calls) {
    expect(call).toMatch(/ -f (?:raw|qcow2)\b/);
    if (/\bconvert\b/.test(call)) expect(call).toMatch(/ -O qcow2\b/);
    // A backing file without a format is opened as what it looks like.
    if (/ -b /.test(call)) expect(call).toMatch(/ -F (?:raw|qcow2)\b/);
  }
});
