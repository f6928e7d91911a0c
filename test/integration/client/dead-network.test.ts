import { createHash } from "node:crypto";
import { readdir, stat, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { ClientDesk } from "#test/kit/client-desk.ts";
import { eventually } from "#test/kit/eventually.ts";
import { stretchWire } from "#test/kit/ssh-proxy.ts";

const WAIT_MS = 20_000;

let desk: ClientDesk;

beforeEach(async () => {
  desk = await ClientDesk.forTest();
});

const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");

/** Whether the service has some bytes of an input. */
async function hasPartOfInput(): Promise<boolean> {
  const folder = join(desk.room.folder, "inputs");
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) => stat(join(folder, name)).catch(() => undefined)),
  );
  return sizes.some((found) => found?.isFile() === true && found.size > 0);
}

test("a watch survives a restart of the service, and loses and repeats nothing", async () => {
  const host = await desk.host();
  const watch = desk.start("submit", "--watch", await desk.job());
  await host.take();
  await host.write("| one\n| tw");
  await eventually(() => watch.output().includes("| tw"), WAIT_MS);
  const { port } = new URL(desk.room.url);
  await desk.room.stop();
  await eventually(() => watch.output().includes("waiting for the job service"), WAIT_MS);
  await desk.room.start(Number(port));
  await host.write("o\n| three\n");
  await eventually(() => watch.output().includes("answers again"), WAIT_MS);
  await host.settle({ kind: "passed" });
  const { exitCode, stdout, stderr } = await watch.done;
  // A line of ours ends one that the guest left open.
  expect(stdout).toBe("| one\n| tw\n| o\n| three\n");
  expect(stderr).not.toMatch(/leased[\s\S]*leased/);
  expect(exitCode).toBe(0);
});

test("a watch and an upload survive a network that dies: cut, silent, and back", async () => {
  await using wire = await stretchWire(Number(new URL(desk.room.url).port));
  const token = await desk.room.token("eve", "submitter");
  await desk.context("lab", token, `http://127.0.0.1:${wire.port}`);
  const host = await desk.host();
  const big = Buffer.alloc(40 * 2 ** 20, "0123456789abcdef");
  await writeFile(join(desk.home, "big"), big);
  const file = await desk.job({ inputs: [{ from: "big", to: "/in/big" }] });
  const watch = desk.start("submit", "--watch", file);
  await eventually(hasPartOfInput, WAIT_MS);
  wire.cut();
  const { jobId, job } = await host.take();
  expect(sha256(await host.input(job.inputs?.[0]?.sha256 ?? ""))).toBe(sha256(big));
  await host.write("| before\n");
  await eventually(() => watch.output().includes("| before"), WAIT_MS);
  wire.silence(true);
  wire.cut();
  await host.write("| meanwhile\n");
  await eventually(() => watch.output().includes("leased"), WAIT_MS);
  wire.silence(false);
  wire.cut();
  await host.write("| after\n");
  await host.settle({ kind: "passed" });
  const { exitCode, stdout } = await watch.done;
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "| before\n| meanwhile\n| after\n" });
  expect((await desk.json("jobs")).jobs).toMatchObject([{ id: jobId }]);
});

test("a submit whose answer was lost makes one job, and says which key finds it", async () => {
  let asked = 0;
  // A service in front of the service that swallows the first answer to a submit.
  const server = createServer((ask, answer) => {
    const sent = request(`${desk.room.url}${ask.url}`, {
      method: ask.method,
      headers: ask.headers,
    });
    ask.pipe(sent);
    sent.on("response", (got) => {
      asked += ask.url === "/v1/jobs" && ask.method === "POST" ? 1 : 0;
      if (asked === 1 && ask.method === "POST") return void ask.socket.destroy();
      answer.writeHead(got.statusCode ?? 500, got.headers);
      got.pipe(answer);
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  try {
    await writeFile(join(desk.home, "small"), "small");
    await desk.context(
      "lab",
      await desk.room.token("eve", "submitter"),
      `http://127.0.0.1:${port}`,
    );
    const ran = await desk.run("submit", await desk.job({ inputs: [{ from: "small", to: "/s" }] }));
    expect(ran).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("answers again") });
    expect((await desk.json("jobs")).jobs).toMatchObject([{ id: ran.stdout.trim() }]);
    expect(asked).toBe(2);
    asked = 0;
    const first = await desk.run("submit", await desk.job());
    expect(first.exitCode).toBe(3);
    const key = /--key (\S+)/.exec(first.stderr)?.[1] ?? "";
    const second = await desk.run("submit", await desk.job(), "--key", key);
    expect(second.exitCode).toBe(0);
    expect((await desk.json("jobs")).jobs).toHaveLength(2);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
