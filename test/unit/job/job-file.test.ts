import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readJobFile } from "#job/job-file.ts";
import { JobFileError } from "#job/job-file-kind.ts";
import { type Override, parseOverride } from "#job/job-file-overrides.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "testbed-job-file-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const STEP = "steps:\n  - { name: one, run: echo hello }\n";

function write(content: string | Uint8Array): string {
  const path = join(folder, "job.yaml");
  writeFileSync(path, content);
  return path;
}

function read(content: string | Uint8Array, ...sets: string[]) {
  return readJobFile(
    write(content),
    sets.map((set) => parseOverride(set) as Override),
  );
}

/** The problems as `line:column path: says` or `--set …: path: says`. */
async function problems(content: string | Uint8Array, ...sets: string[]): Promise<string[]> {
  const error: unknown = await read(content, ...sets).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(JobFileError);
  return (error as JobFileError).message.replaceAll(`${folder}/job.yaml:`, "").split("\n");
}

test("the least job gets every default", async () => {
  expect(await read(`image: micro\n${STEP}`)).toEqual({
    image: "micro",
    cpus: 1,
    memoryMiB: undefined,
    diskMiB: undefined,
    network: "nat",
    timeoutSeconds: 3600,
    attempts: 1,
    inputs: [],
    env: {},
    steps: [
      {
        name: "one",
        run: "echo hello",
        when: "success",
        timeoutSeconds: undefined,
        silenceSeconds: undefined,
      },
    ],
    artifacts: [],
  });
});

test("a full job resolves units, and inputs from the job file's folder", async () => {
  mkdirSync(join(folder, "src"));
  const spec = await read(`
image: debian-12@sha256:${"0".repeat(64)}
resources: { cpus: 2, memory: 1GiB, disk: 8GiB }
network: nat
timeout: 2h
attempts: 2
inputs: [ { from: src, to: /build/src } ]
env: { CFLAGS: -O2, __proto__: data }
steps:
  - name: build
    run: |
      make -C /build
    timeout: 30m
    silence: 90s
  - { name: tidy, run: "true", when: always }
artifacts: [ /build/out/*.tar.gz ]
`);
  expect(spec).toMatchObject({
    cpus: 2,
    memoryMiB: 1024,
    diskMiB: 8192,
    timeoutSeconds: 7200,
    attempts: 2,
    inputs: [{ from: join(folder, "src"), to: "/build/src" }],
    artifacts: ["/build/out/*.tar.gz"],
  });
  expect(Object.entries(spec.env)).toEqual([
    ["CFLAGS", "-O2"],
    ["__proto__", "data"],
  ]);
  expect(spec.steps[0]).toMatchObject({
    run: "make -C /build\n",
    timeoutSeconds: 1800,
    silenceSeconds: 90,
  });
});

test("JSON with tabs is a job file too", async () => {
  const spec = await read(`{\n\t"image": "micro",\n\t"steps": [{"name": "a", "run": "b"}]\n}\n`);
  expect(spec.steps).toHaveLength(1);
});

test("everything that is wrong is said at once, in the order of the file", async () => {
  const found = await problems(
    [
      "imag: micro",
      "resources: { memory: 1GB, cpus: 0 }",
      "steps:",
      "  - { name: a, run: x, timout: 3m }",
      "  - { name: a, run: '' }",
      "",
    ].join("\n"),
    "attempts=99",
  );
  expect(found).toEqual([
    "1:1: image: is missing",
    "1:1: imag: unknown key; did you mean 'image'?; allowed: image, resources, network, timeout, attempts, inputs, env, steps, artifacts",
    "2:22: resources.memory: is '1GB'; did you mean '1GiB'?; must be a whole number and MiB, GiB or TiB, such as 512MiB or 2GiB",
    "2:33: resources.cpus: is 0; must be a whole number from 1 to 64",
    "4:24: steps.0.timout: unknown key; did you mean 'timeout'?; allowed: name, run, when, timeout, silence",
    "5:13: steps.1.name: is the name of step 1 too; each step needs its own",
    expect.stringMatching(/^5:21: steps\.1\.run: is empty; /),
    "--set attempts=99: attempts: is 99; must be a whole number from 1 to 10",
  ]);
});

const head = `image: micro\n${STEP}`;
test.each<[string, string | Uint8Array, RegExp]>([
  ["an empty file", "", /^1:1: is empty/],
  ["only comments", "# nothing\n", /is empty/],
  ["a list", "- a\n", /^1:1: is a list; must be a mapping/],
  ["plain text", "hello\n", /is 'hello'; must be a mapping/],
  ["a program", execFileSync("cat", ["/bin/true"]), /not text in UTF-8|control character/],
  ["a NUL in text", "image: mi\0cro\n", /^1:10: holds the control character U\+0000/],
  ["an escape sequence", "image: \u001b[2J\n", /U\+001b/],
  ["UTF-16", Buffer.from("\ufeffimage: micro\n", "utf16le"), /UTF-8/],
  ["a second document", `${head}---\n${head}`, /^4:1: a second document begins here/],
  ["aliases", `a: &a [x]\nb: *a\n${head}`, /^1:7: a: anchors \(&\) are not allowed/],
  ["a tag", `${head}artifacts: !!set { /a }\n`, /tags \(!\) are not allowed/],
  ["a tag on a key", `${head}!x env: {}\n`, /tags \(!\) are not allowed/],
  ["a directive", `%YAML 1.1\n---\n${head}`, /directive/],
  ["a tag directive", `%TAG ! tag:x,1:\n---\n${head}`, /directive/],
  ["a key given twice", `${head}image: micro\n`, /^4:1: image: is here twice/],
  ["a list as key", `${head}[a]: b\n`, /a key must be plain text/],
  ["broken YAML", "image: [micro\n", /not valid YAML/],
  ["deep nesting", `${head}env: ${"[".repeat(40)}${"]".repeat(40)}\n`, /deeper than 16 levels/],
  ["secrets", `${head}secrets: [A]\n`, /^4:1: secrets: is not supported yet$/],
  ["tests", `${head}tests: { junit: [/a] }\n`, /^4:1: tests: is not supported yet$/],
  ["keep", `${head}keep: { on: failed }\n`, /^4:1: keep: is not supported yet$/],
  ["a reboot", `image: a\nsteps: [{ name: a, reboot: true }]\n`, /reboot: is not supported yet/],
  ["network none", `${head}network: none\n`, /'none' is not supported yet; must be nat/],
  ["network bridge=br0", `${head}network: bridge=br0\n`, /is 'bridge=br0'; must be nat/],
  ["a URL as image", `${STEP}image: http://192.0.2.1/x\n`, /^3:8: image: is 'http/],
  ["a path as image", `${STEP}image: ../x\n`, /image: is/],
  ["a short digest", `${STEP}image: a@sha256:00\n`, /image: is/],
  ["an upper-case digest", `${STEP}image: a@sha256:${"A".repeat(64)}\n`, /image: is/],
  ["negative memory", `${head}resources: { memory: -1GiB }\n`, /memory: is '-1GiB'; must be/],
  ["no memory", `${head}resources: { memory: 0 }\n`, /memory: is 0; must be/],
  ["tiny memory", `${head}resources: { memory: 1MiB }\n`, /must be from 64MiB to 1TiB/],
  ["absurd memory", `${head}resources: { memory: 99999TiB }\n`, /must be from 64MiB to 1TiB/],
  ["an absurd disk", `${head}resources: { disk: 99999TiB }\n`, /must be from 64MiB to 16TiB/],
  ["half a CPU", `${head}resources: { cpus: 0.5 }\n`, /cpus: is 0.5; must be a whole number/],
  ["infinite CPUs", `${head}resources: { cpus: 1e400 }\n`, /cpus: is Infinity; must be/],
  ["CPUs as text", `${head}resources: { cpus: "5" }\n`, /cpus: is '5'; must be a whole/],
  ["a bare number as time", `${head}timeout: 90\n`, /did you mean '90s'\?/],
  ["an endless time", `${head}timeout: 25d\n`, /must be from 1s to 24d/],
  ["no time", `${head}timeout: 0s\n`, /timeout: is '0s'/],
  ["no steps", "image: micro\nsteps: []\n", /^2:8: steps: is empty; must be a list of 1/],
  ["steps left out", "image: micro\nsteps:\n", /steps: is empty/],
  ["too many steps", `image: a\nsteps: [${"{},".repeat(101)}]\n`, /steps: has 101 entries/],
  ["a newline in a name", `image: a\nsteps: [{ name: "a\\nb", run: x }]\n`, /steps\.0\.name: is/],
  ["an override character", `image: a\nsteps: [{ name: "\u202eb", run: x }]\n`, /name: is/],
  ["a NUL in a command", `image: a\nsteps: [{ name: a, run: "x\\0" }]\n`, /run: is 'x\\u\{0\}'/],
  ["a lone surrogate", `image: a\nsteps: [{ name: a, run: "\\ud800" }]\n`, /run: is/],
  [
    "names alike in Unicode",
    "image: a\nsteps: [{ name: \u00e9, run: x }, { name: e\u0301, run: x }]\n",
    /step 1 too/,
  ],
  [".. in an artifact", `${head}artifacts: [ /a/../b ]\n`, /artifacts\.0: is '\/a\/\.\.\/b'/],
  ["a relative artifact", `${head}artifacts: [ "-rf" ]\n`, /artifacts\.0: is '-rf'/],
  ["too many artifacts", `${head}artifacts: [${"/a,".repeat(101)}]\n`, /has 101 entries/],
  ["a digit first in env", `${head}env: { 1A: x }\n`, /env\.1A: bad name/],
  ["= in env", `${head}env: { "A=B": x }\n`, /env\.A=B: bad name/],
  ["a number in env", `${head}env: { A: 1.10 }\n`, /put numbers, true and false in quotes/],
  ["constructor", `${head}constructor: {}\n`, /constructor: unknown key/],
  ["__proto__", `${head}__proto__: { image: x }\n`, /__proto__: unknown key/],
  [
    "a missing input",
    `${head}inputs: [{ from: x, to: /x }]\n`,
    /^4:18: inputs\.0\.from: there is no/,
  ],
  ["a device as input", `${head}inputs: [{ from: /dev/null, to: /x }]\n`, /neither a file nor/],
  ["an input to ..", `${head}inputs: [{ from: ., to: /../x }]\n`, /inputs\.0\.to: is/],
])("%s is refused with its place", async (_, content, expected) => {
  const found = await problems(content);
  expect(found.some((line) => expected.test(line))).toBe(true);
  for (const line of found) expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

test("a file of 100 MB is refused before it is read", async () => {
  const path = write("");
  truncateSync(path, 100_000_000);
  await expect(readJobFile(path)).rejects.toThrow(
    "is 100000000 bytes long; a job file has at most",
  );
});

test("what is no regular file is refused without waiting for it", async () => {
  execFileSync("/usr/bin/mkfifo", [join(folder, "fifo")]);
  await expect(readJobFile(join(folder, "fifo"))).rejects.toThrow("is not a regular file");
  await expect(readJobFile(folder)).rejects.toThrow("is a folder");
  await expect(readJobFile("/dev/zero")).rejects.toThrow("is not a regular file");
  await expect(readJobFile(join(folder, "none"))).rejects.toThrow("there is no such file");
});

test("an intricate file of a megabyte is refused in no time", async () => {
  const bombs = ["[", "- ", "? ", "{a: ", "]", "!a ", "&a ", "k: 1\n", "#\n", "'a' "];
  for (const bomb of bombs) {
    const started = performance.now();
    await problems(`[${bomb.repeat(Math.floor(1_000_000 / bomb.length))}`);
    expect(performance.now() - started).toBeLessThan(2000);
  }
}, 30_000);

test("a script of 200 KB is no trouble", async () => {
  const script = "echo hello\n".repeat(18_000);
  const spec = await read(
    `image: micro\nsteps:\n  - name: a\n    run: |\n      ${script.replaceAll("\n", "\n      ")}\n`,
  );
  expect(spec.steps[0]?.run).toBe(script);
});

test("--set changes, adds and makes what is missing, typed as the schema says", async () => {
  const spec = await read(
    head,
    "image=debian-12",
    "resources.memory=2GiB",
    "resources.cpus=4",
    "timeout=2m",
    "env.X=1",
    "steps.0.run=echo a=b",
    "steps.1.name=two",
    "steps.1.run=true",
    "artifacts=[/a, /b]",
    "artifacts.2=/c",
  );
  expect(spec).toMatchObject({
    image: "debian-12",
    cpus: 4,
    memoryMiB: 2048,
    timeoutSeconds: 120,
    env: { X: "1" },
    steps: [{ run: "echo a=b" }, { name: "two", run: "true" }],
    artifacts: ["/a", "/b", "/c"],
  });
});

test("a --set that cannot be done is named", async () => {
  expect(await problems(head, "steps.5.run=x")).toEqual([
    "--set steps.5.run=x: steps is a list of 1; give a position from 0 to 1",
  ]);
  expect(await problems(head, "image.x=1")).toEqual(["--set image.x=1: image has no keys to set"]);
  expect(await problems(head, "tiemout=1m")).toEqual([
    expect.stringMatching(/^--set tiemout=1m: tiemout: unknown key; did you mean 'timeout'/),
  ]);
  expect(await problems(head, "__proto__.x=1")).toEqual([
    expect.stringMatching(/^--set __proto__\.x=1: __proto__: unknown key/),
  ]);
  for (const wrong of ["x", "=x", "a..b=c", ".=", ""]) expect(parseOverride(wrong)).toBeUndefined();
});

test("a problem that the parser finds over and over is told once", async () => {
  const error: unknown = await read("[".repeat(20_000)).catch((thrown: unknown) => thrown);
  const { message, problems: found } = error as JobFileError;
  const lines = message.split("\n");
  expect(found.length).toBeGreaterThan(1);
  expect(lines).toEqual([...new Set(lines)]);
  expect(lines).toHaveLength(found.length);
});
