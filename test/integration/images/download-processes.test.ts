import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "#test/kit/eventually.ts";
import { type FetchDesk, fetchDesk, leftIn } from "#test/kit/fetch-desk.ts";
import { serve } from "#test/kit/file-server.ts";
import { ROOT } from "#test/kit/house.ts";

const WAIT_MS = 30_000;

type Fetching = {
  said(): string;
  kill(): void;
  readonly ended: Promise<unknown>;
};

/**
 * Starts a process that fetches the desk's file; it is killed with the test. To it the server is called localhost: it looks names up
 * itself.
 */
async function fetching(desk: FetchDesk): Promise<Fetching & AsyncDisposable> {
  const { folder, server, source } = desk;
  const catalogue = `https://localhost:${server.port}/catalogue.json`;
  const order = { source: { ...source, url: "/disk" }, folder, catalogue, ca: server.ca };
  const path = join(folder, "..", "order.json");
  await writeFile(path, JSON.stringify(order));
  const child = spawn(process.execPath, [join(ROOT, "test/kit/run-download.ts"), path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  let said = "";
  child.stdout.on("data", (piece: Buffer) => {
    said += piece.toString();
  });
  const kill = () => child.kill("SIGKILL");
  return {
    ended,
    kill,
    said: () => said,
    async [Symbol.asyncDispose]() {
      kill();
      await ended;
    },
  };
}

test("two processes at once: one fetches, both have it", async () => {
  await using desk = await fetchDesk();
  const gate = Promise.withResolvers<void>();
  desk.server.answers((request, reply) => {
    gate.promise.then(() => serve(desk.content)(request, reply), request.destroy);
  });
  await using first = await fetching(desk);
  await eventually(() => desk.server.asked.length === 1, WAIT_MS);
  await using second = await fetching(desk);
  await eventually(() => second.said().includes("waits"), WAIT_MS);
  gate.resolve();
  await Promise.all([first.ended, second.ended]);
  expect([first.said(), second.said()]).toEqual([`${desk.whole}\n`, `waits\n${desk.whole}\n`]);
  expect(desk.server.asked).toHaveLength(1);
  expect((await readFile(desk.whole)).equals(desk.content)).toBe(true);
  expect(await leftIn(desk.folder)).toEqual([desk.source.sha256]);
});

test("kill -9 leaves a part, and the next process asks for the rest only", async () => {
  await using desk = await fetchDesk();
  desk.server.answers((_request, reply) => {
    reply.writeHead(200, { "content-length": desk.content.length, etag: '"one"' });
    reply.write(desk.content.subarray(0, 200_000));
  });
  await using first = await fetching(desk);
  const size = async () => (await stat(desk.part).catch(() => undefined))?.size;
  await eventually(async () => (await size()) === 200_000, WAIT_MS);
  first.kill();
  await first.ended;
  expect(await leftIn(desk.folder)).toEqual([
    `${desk.source.sha256}.part`,
    `${desk.source.sha256}.part.json`,
  ]);
  desk.server.answers(serve(desk.content));
  await using second = await fetching(desk);
  await second.ended;
  expect(second.said()).toBe(`${desk.whole}\n`);
  expect(desk.server.asked[1]?.headers).toMatchObject({
    range: "bytes=200000-",
    "if-range": '"one"',
  });
  expect((await readFile(desk.whole)).equals(desk.content)).toBe(true);
  expect(await leftIn(desk.folder)).toEqual([desk.source.sha256]);
});
