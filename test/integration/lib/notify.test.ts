import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { Notifier } from "#lib/notify.ts";
import { eventually } from "#test/kit/eventually.ts";
import { NotifyListener } from "#test/kit/notify-listener.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

let path: string;
beforeEach(async () => {
  const folder = await scratchFolder();
  onTestFinished(async () => await folder[Symbol.asyncDispose]());
  path = join(folder.path, "notify");
});

async function listen(socket: string): Promise<NotifyListener> {
  const listener = await NotifyListener.open(socket);
  onTestFinished(async () => await listener[Symbol.asyncDispose]());
  return listener;
}

function notifier(socket: string | undefined) {
  const troubles: unknown[] = [];
  return { notifier: new Notifier(socket, (error) => troubles.push(error)), troubles };
}

test.each([
  ["a path", () => path],
  ["an abstract name", () => `@testbed-test-${process.pid}`],
])("what is said comes in order at %s, and what waits goes together", async (_, socket) => {
  const listener = await listen(socket());
  const { notifier: we, troubles } = notifier(socket());
  we.ready("two\nlines");
  await eventually(() => listener.words.includes("READY=1"), 5_000);
  for (let sign = 0; sign < 100; sign += 1) we.alive();
  we.extend(1500);
  we.status("first");
  we.stopping("last");
  await we[Symbol.asyncDispose]();
  await eventually(() => listener.words.includes("STATUS=last"), 5_000);
  expect(troubles).toEqual([]);
  expect(listener.messages.map(({ words }) => words)).toEqual([
    ["READY=1", "STATUS=two\\u{a}lines"],
    ["WATCHDOG=1", "EXTEND_TIMEOUT_USEC=1500000", "STATUS=last", "STOPPING=1"],
  ]);
});

test("without a socket nothing is started, without a listener the trouble is told", async () => {
  const alone = notifier(undefined);
  alone.notifier.ready("x");
  await alone.notifier[Symbol.asyncDispose]();
  expect(alone.troubles).toEqual([]);
  const unheard = notifier(path);
  unheard.notifier.ready("x");
  await unheard.notifier[Symbol.asyncDispose]();
  expect(unheard.troubles).not.toEqual([]);
});
