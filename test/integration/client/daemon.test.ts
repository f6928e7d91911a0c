import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ClientDesk } from "#test/kit/client-desk.ts";
import { paperDaemon } from "#test/kit/paper-daemon.ts";

test("with a daemon: a job goes out with its inputs, is watched, and its artifacts come back", async () => {
  const desk = await ClientDesk.open();
  const paper = await paperDaemon({
    host: "lab-1",
    state: join(desk.home, "host"),
    url: desk.room.url,
    token: await desk.room.token("lab-1", "host"),
  });
  const running = paper.run();
  onTestFinished(async () => {
    paper.stop();
    await running;
    await desk[Symbol.asyncDispose]();
  });
  await mkdir(join(desk.home, "src/below"), { recursive: true });
  await writeFile(join(desk.home, "src/below/file"), "from a folder\n");
  const out = join(desk.home, "result.txt");
  const file = await desk.job({
    image: "paper",
    inputs: [{ from: "src", to: "/src" }],
    steps: [{ name: "build", run: `echo begun; echo result >${out}` }],
    artifacts: [out],
  });
  const { exitCode, stdout, stderr } = await desk.run("submit", "--watch", file);
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "| begun\n" });
  // What the host told, and what the service did, each once.
  for (const words of ["leased to lab-1", "starting the machine", "step 1 of 1: build\n"])
    expect([words, stderr.split(`==> ${words}`).length - 1]).toEqual([words, 1]);
  expect(stderr).toMatch(/==> passed, .* after it was submitted\n$/);
  const id = (await desk.json("jobs")).jobs[0]?.id ?? "";
  expect((await desk.run("artifacts", id, "--to", join(desk.home, "out"))).exitCode).toBe(0);
  expect(await readFile(join(desk.home, "out", out), "utf8")).toBe("result\n");
  expect((await desk.run("logs", id)).stdout).toContain("| begun\n");
  expect((await desk.run("logs", id, "--log", "step-1")).stdout).toBe("begun\n");
});
