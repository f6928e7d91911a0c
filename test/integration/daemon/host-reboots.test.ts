import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { lineOf } from "#host/state/journal-text.ts";
import { DaemonRoom } from "#test/kit/daemon-room.ts";
import { eventually } from "#test/kit/eventually.ts";

test("an attempt whose host was booted with a wall clock that is behind is told of, and tried again", async () => {
  const room = await DaemonRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
  const child = await room.spawn("lab-1");
  const mark = join(room.service.folder, "mark");
  const job = await room.submit([`echo begun; [ -e ${mark} ] || sleep 600`], { attempts: 1 });
  await eventually(async () => (await room.log(job)).includes("| begun"), 10_000);
  child.kill("SIGKILL");
  await once(child, "exit");
  await writeFile(mark, "");
  const attempt = join(room.stateOf("lab-1"), "attempts", `${job}-1`);
  const grant = join(attempt, "grant.json");
  const begun = JSON.parse(await readFile(grant, "utf8"));
  // What the next boot's clock has, before it hears of the right time.
  await writeFile(grant, JSON.stringify({ ...begun, begunAtMs: Date.now() + 86_400_000 }));
  const journal = join(attempt, "journal");
  const [, ...lines] = (await readFile(journal, "utf8")).split("\n");
  const head = lineOf({ format: 1, boot: "00000000-0000-4000-8000-000000000000" });
  await writeFile(journal, head + lines.join("\n"));
  await room.spawn("lab-1");
  const detail = await room.settled(job);
  expect(detail.attemptList.map(({ verdict }) => verdict)).toMatchObject([
    { kind: "broken", fault: { code: "host-restarted" } },
    { kind: "passed" },
  ]);
  await room.nothingLeft("lab-1");
}, 40_000);
