import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { lineOf } from "#host/state/journal-text.ts";
import { uptimeMs } from "#lib/host-boot.ts";
import { DaemonRoom } from "#test/kit/daemon-room.ts";
import { eventually } from "#test/kit/eventually.ts";
import { type Loses, lossyProxy } from "#test/kit/lossy-proxy.ts";

let room: DaemonRoom;
beforeEach(async () => {
  room = await DaemonRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
});

test.for(["SIGKILL", "SIGTERM"] as const)(
  "after %s the next daemon goes on with what runs: one attempt, and each byte of its log once",
  { timeout: 40_000 },
  async (signal) => {
    const child = await room.spawn("lab-1");
    const job = await room.submit(
      ["i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo line $i; sleep 0.1; done; exit 3", "true"],
      { attempts: 1 },
    );
    await eventually(async () => (await room.log(job)).includes("| line 5"), 10_000);
    const startedMs = performance.now();
    child.kill(signal);
    await once(child, "exit");
    if (signal === "SIGTERM") {
      expect(child.exitCode).toBe(0);
      expect(performance.now() - startedMs).toBeLessThan(10_000);
    }
    await room.spawn("lab-1");
    const detail = await room.settled(job);
    expect(detail.attemptList.map(({ verdict }) => verdict)).toMatchObject([
      { kind: "failed", why: "step 'step 1' exited with status 3" },
    ]);
    const lines = Array.from({ length: 50 }, (_, at) => `line ${at + 1}\n`);
    expect(await room.log(job, "step-1")).toBe(lines.join(""));
    expect(await room.log(job)).toContain("the daemon was restarted");
    await room.nothingLeft("lab-1");
  },
);

test("a step that ends while no daemon is there has its end all the same", async () => {
  const child = await room.spawn("lab-1");
  const mark = join(room.service.folder, "mark");
  const job = await room.submit([
    `echo begun; while ! [ -e ${mark} ]; do sleep 0.05; done; echo over`,
  ]);
  await eventually(async () => (await room.log(job)).includes("| begun"), 10_000);
  child.kill("SIGKILL");
  await once(child, "exit");
  await writeFile(mark, "");
  const guest = join(room.stateOf("lab-1"), "paper-machines");
  const [machine = ""] = await readdir(guest);
  const exit = join(guest, machine, "run", "1.exit");
  await eventually(async () => (await readFile(exit, "utf8")).includes("end ended"), 10_000);
  await room.spawn("lab-1");
  expect((await room.settled(job)).verdict).toBe("passed");
  expect(await room.log(job, "step-1")).toBe("begun\nover\n");
  await room.nothingLeft("lab-1");
}, 40_000);

test("a cancel that comes while no daemon is there ends the attempt when one is", async () => {
  const child = await room.spawn("lab-1");
  const [mark, said] = ["mark", "said"].map((name) => join(room.service.folder, name));
  const job = await room.submit([
    `echo begun; until [ -e ${mark} ]; do sleep 0.05; done; echo more; : >${said}; sleep 600`,
  ]);
  await eventually(async () => (await room.log(job)).includes("| begun"), 10_000);
  child.kill("SIGKILL");
  await once(child, "exit");
  await writeFile(mark ?? "", "");
  await eventually(async () => existsSync(said ?? ""), 10_000);
  await room.cancel(job);
  await room.spawn("lab-1");
  const detail = await room.settled(job);
  expect(detail.verdict).toBe("cancelled");
  expect(detail.attemptList[0]?.report?.steps).toMatchObject([
    { outcome: "cancelled", logBytes: 11 },
  ]);
  expect(await room.log(job, "step-1")).toBe("begun\nmore\n");
  await room.nothingLeft("lab-1");
}, 40_000);

test("an attempt whose journal is damaged is told of as such, and its journal is kept", async () => {
  const child = await room.spawn("lab-1");
  const job = await room.submit(["echo begun; sleep 600"], { attempts: 1 });
  await eventually(async () => (await room.log(job)).includes("| begun"), 10_000);
  child.kill("SIGKILL");
  await once(child, "exit");
  const journal = join(room.stateOf("lab-1"), "attempts", `${job}-1`, "journal");
  const text = await readFile(journal);
  text[200] = (text[200] ?? 0) ^ 1;
  await writeFile(journal, text);
  await room.spawn("lab-1");
  await eventually(async () => {
    const { attemptList } = await room.show(job);
    return attemptList[0]?.verdict?.fault?.code === "host-restarted";
  }, 10_000);
  const [first] = (await room.show(job)).attemptList;
  expect(first?.verdict?.fault?.message).toContain("journal");
  expect(await readFile(journal)).toEqual(text);
  const machines = join(room.stateOf("lab-1"), "paper-machines");
  await eventually(async () => (await readdir(machines)).length === 0, 5_000);
  await room.cancel(job);
}, 40_000);

test("a daemon that is killed while it delivers leaves it to the next one, once", async () => {
  const child = await room.spawn("lab-1");
  const mark = join(room.service.folder, "mark");
  const job = await room.submit([
    `echo begun; while ! [ -e ${mark} ]; do sleep 0.05; done; echo over`,
  ]);
  await eventually(async () => (await room.log(job)).includes("| begun"), 10_000);
  await room.service.stop();
  await writeFile(mark, "");
  const verdict = join(room.stateOf("lab-1"), "attempts", `${job}-1`, "verdict.json");
  await eventually(async () => existsSync(verdict), 10_000);
  child.kill("SIGKILL");
  await once(child, "exit");
  await room.service.restart();
  await room.spawn("lab-1");
  const detail = await room.settled(job);
  expect(detail.attemptList.map(({ verdict: one }) => one?.kind)).toEqual(["passed"]);
  expect(await room.log(job, "step-1")).toBe("begun\nover\n");
}, 40_000);

const LOST: Readonly<Record<string, Loses>> = {
  "of a lease": ({ url }, status) => url === "/v1/leases" && status === 200,
  "of a log": ({ url }) => url?.includes("/logs/") === true,
  "of an artifact": ({ url, method }) => url?.includes("/artifacts/") === true && method === "PUT",
  "of a verdict": ({ url }) => url?.endsWith("/verdict") === true,
  "of a renewal": ({ url }) => url?.endsWith("/renew") === true,
};

test.for(Object.keys(LOST))(
  "the answer %s is lost: nothing is done twice, and nothing is missing",
  async (name) => {
    let left = 2;
    await using proxy = await lossyProxy(room.service.url, (request, status) => {
      const isLost = LOST[name]?.(request, status) === true && left > 0;
      if (isLost) left -= 1;
      return isLost;
    });
    // Both run at once, and on paper all guests have the same files.
    const out = (at: number) => join(room.service.folder, `out-${at}.bin`);
    await room.start("lab-1", { url: proxy.url });
    const jobs = [];
    for (let at = 0; at < 2; at += 1)
      jobs.push(
        await room.submit([`echo ${at}; head -c 100000 /dev/zero >${out(at)}`], {
          artifacts: [out(at)],
        }),
      );
    for (const [at, job] of jobs.entries()) {
      const detail = await room.settled(job);
      expect(detail.verdict).toBe("passed");
      expect(detail.attemptList).toHaveLength(1);
      expect(await room.log(job, "step-1")).toBe(`${at}\n`);
      const { json } = await room.ask("GET", `/v1/jobs/${job}/artifacts`);
      expect(json.artifacts).toMatchObject([{ bytes: 100_000 }]);
    }
    expect(left).toBe(0);
  },
);

test("somebody on the host drains it: it lives on, takes nothing, also after a restart, until it is resumed", async () => {
  const first = await room.start("lab-1");
  await first.daemon.drain("new disk");
  first.stop();
  await eventually(
    async () => first.lines.some(({ words }) => words === "takes nothing more"),
    5000,
  );
  const paper = await room.start("lab-1");
  const job = await room.submit(["true"]);
  expect(await paper.daemon.status()).toMatchObject({ state: "drained", why: "new disk" });
  await eventually(async () => (await room.show(job)).waiting !== undefined, 5000);
  expect((await room.show(job)).state).toBe("queued");
  await paper.daemon.resume();
  expect((await room.settled(job)).verdict).toBe("passed");
});

test("a host that would emulate takes no work unless it was told to, and says so", async () => {
  const paper = await room.start("lab-1", { parts: { mayEmulate: false } });
  await eventually(
    async () => /emulation: allowed/.test((await paper.daemon.status()).why ?? ""),
    5000,
  );
  const job = await room.submit(["true"]);
  expect((await room.show(job)).state).toBe("queued");
});

test("a job's time goes on while its inputs are waited for, whichever daemon waits", async () => {
  await using proxy = await lossyProxy(
    room.service.url,
    ({ url }) => url?.includes("/inputs/") === true,
  );
  const inputs = [await room.input(Buffer.from("never there"), "file", "/in")];
  const job = await room.submit(["true"], { inputs, timeout: "1h" } as never);
  const child = await room.spawn("lab-1", "", proxy.url);
  const journal = join(room.stateOf("lab-1"), "attempts", `${job}-1`, "journal");
  const head = /^.*\n/;
  await eventually(async () => existsSync(journal), 10_000);
  await eventually(async () => (await readFile(journal, "utf8")).includes("leased"), 10_000);
  child.kill("SIGKILL");
  await once(child, "exit");
  const [first = ""] = head.exec(await readFile(journal, "utf8")) ?? [];
  const atMs = uptimeMs() - 3_600_000;
  await writeFile(journal, first + lineOf({ entry: "phase", phase: "leased", atMs }));
  await room.spawn("lab-1", "", proxy.url);
  const code = async () => (await room.show(job)).attemptList[0]?.verdict?.fault?.code;
  await eventually(async () => (await code()) === "input-undelivered", 10_000);
  await room.cancel(job);
}, 40_000);

test("inputs that the service does not deliver are its fault, and no verdict on the job", async () => {
  await using proxy = await lossyProxy(
    room.service.url,
    ({ url }) => url?.includes("/inputs/") === true,
  );
  await room.start("lab-1", { url: proxy.url });
  const inputs = [await room.input(Buffer.from("never there"), "file", "/in")];
  const job = await room.submit(["true"], { inputs, timeout: "2s" } as never);
  const detail = await room.settled(job);
  expect(detail.verdict).toBe("broken");
  expect(detail.attemptList[0]?.verdict?.fault).toMatchObject({
    code: "input-undelivered",
    blame: "service",
    retry: "anywhere",
  });
});
