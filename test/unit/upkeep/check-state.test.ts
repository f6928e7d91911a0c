import { mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { openStateFolder, type StateFolder } from "#host/runner/state-folder.ts";
import { openEvidence } from "#host/state/evidence.ts";
import { openStateCheck } from "#host/state/state-check.ts";
import { checkState } from "#host/upkeep/check-state.ts";
import { machineName } from "#job/machine-name.ts";
import { Steadiness } from "#lib/steadiness.ts";
import { layAttempt } from "#test/kit/attempt-shelf.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const [A, B] = ["a", "b"].map((digit) => `${digit.repeat(16)}-1`) as [string, string];
const TMP = "0123456789ab.tmp";

let state: StateFolder;
beforeEach(async () => {
  const scratch = await scratchFolder();
  onTestFinished(() => scratch[Symbol.asyncDispose]());
  state = await openStateFolder(scratch.path);
});

/** A file or, ending in a slash, a folder, that nobody has touched for so many minutes. */
async function lay(path: string, minutes: number, text = ""): Promise<void> {
  const full = join(state.path, path);
  await mkdir(path.endsWith("/") ? full : join(full, ".."), { recursive: true });
  if (!path.endsWith("/")) await writeFile(full, text);
  const since = new Date(Date.now() - minutes * 60_000);
  await utimes(full, since, since);
}

async function look({ isSteady = true, atWork = [] as readonly string[] } = {}) {
  const clocks = { monotonicMs: () => 0, wallMs: () => 0 };
  return await checkState(
    {
      state: openStateCheck(state, ["daemon.sock", "service"]),
      evidence: openEvidence(state.path),
      steadiness: new Steadiness(clocks, isSteady ? 0 : 1000),
      atWork: () => new Set(atWork),
    },
    new AbortController().signal,
  );
}

const below = (...paths: string[]) => paths.map((path) => `${join(state.path, path)}: `);

test("a state folder that is in order has nothing to tell", async () => {
  await layAttempt(state.path, A, { state: "open", minutes: 500 });
  await layAttempt(state.path, B, { state: "aside", minutes: 500 });
  const identity = { installation: state.installation, job: "x", attempt: 1 };
  for (const name of [machineName(identity), `gone-${machineName(identity)}`])
    await lay(`machines/${name}/`, 500);
  for (const path of ["daemon.sock", "daemon.lock", "images/x", "service/y", "health/z"])
    await lay(path, 500);
  await lay("drain.json", 500, '{"why": "new disk"}');
  expect(await look()).toEqual({
    isNews: false,
    fields: { removed: 0, unknown: 0, setAside: 0 },
  });
});

test("what is ours by its name and half made is removed when it is old, and not before, nor with a clock that jumped", async () => {
  const old = [`drain.json.${TMP}`, `attempts/gone-${A}/`, `attempts/making-${B}/`];
  for (const path of [...old, `attempts/${A}/verdict.json.${TMP}`]) await lay(path, 90);
  for (const path of [`request-id.${TMP}`, `attempts/${A}/grant.json.${TMP}`]) await lay(path, 30);
  await layAttempt(state.path, A, { state: "open" });
  expect(await look({ isSteady: false })).toMatchObject({ fields: { removed: 0, unknown: 0 } });
  const { isNews, fields } = await look();
  expect(isNews).toBe(true);
  expect(fields).toMatchObject({ removed: 4, unknown: 0 });
  expect(await readdir(join(state.path, "attempts"))).toEqual([A]);
  expect(await readdir(join(state.path, "attempts", A))).toContain(`grant.json.${TMP}`);
  expect(await readdir(state.path)).toContain(`request-id.${TMP}`);
  expect((await look()).isNews).toBe(false);
});

test("what nobody knows is named and never touched, however old it is", async () => {
  const strange = [
    "notes.txt",
    `notes.txt.${TMP}`,
    "drain.json.0123.tmp",
    "attempts/something else/",
    "attempts/gone-fishing/",
    "machines/testbed-00000000-0123456789abcdef/",
    "machines/lost+found/",
  ];
  for (const path of strange) await lay(path, 50_000);
  const { fields } = await look();
  expect(fields).toMatchObject({ removed: 0, unknown: strange.length });
  for (const start of below(...strange.map((path) => path.replace(/\/$/, ""))))
    expect(fields["unknownNamed"]).toContainEqual(expect.stringContaining(start));
  expect((await look()).fields).toMatchObject({ unknown: strange.length });
});

test("files that cannot be read are named", async () => {
  await lay("drain.json", 1, "{");
  await lay("acceleration.json/", 1);
  expect((await look()).fields).toMatchObject({
    unknown: 2,
    unknownNamed: [
      expect.stringMatching(/drain\.json: it holds no JSON$/),
      expect.stringMatching(/acceleration\.json: EISDIR/),
    ],
  });
});

test("an attempt that cannot be read is set aside, unless the daemon is at work on it", async () => {
  await layAttempt(state.path, A, { state: "unreadable", minutes: 500 });
  await layAttempt(state.path, B, { state: "unreadable", minutes: 500 });
  expect((await look({ atWork: [B] })).fields).toMatchObject({
    setAside: 1,
    setAsideNamed: [A],
  });
  const kept = await openEvidence(state.path).list();
  expect(kept.find(({ name }) => name === A)?.state).toBe("aside");
  expect(kept.find(({ name }) => name === B)?.state).toBe("unreadable");
  expect((await look({ atWork: [B] })).isNews).toBe(false);
});
