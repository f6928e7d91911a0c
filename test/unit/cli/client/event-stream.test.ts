import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { followStream } from "#cli/client/event-stream.ts";
import { Patience } from "#cli/client/patience.ts";
import { type HttpAnswer, NoAnswer } from "#lib/http-client.ts";
import { Refused } from "#protocol/refused.ts";

const never = new AbortController().signal;

/** What a service answers, one after the other: pieces of a stream, an error, or 204 at the end. */
function serviceOf(answers: readonly (readonly string[] | Error)[]) {
  const asked: number[] = [];
  const open = async (after: number): Promise<HttpAnswer> => {
    const answer = answers[asked.length] ?? [];
    const isLast = asked.length >= answers.length;
    asked.push(after);
    if (answer instanceof Error) throw answer;
    const body = Readable.from(answer.map((piece) => Buffer.from(piece))) as IncomingMessage;
    return { status: isLast ? 204 : 200, headers: {}, body };
  };
  return { asked, open };
}

async function all(answers: readonly (readonly string[] | Error)[]) {
  const told: string[] = [];
  const teller = { gone: () => told.push("gone"), back: () => told.push("back") };
  const pauses: number[] = [];
  let nowMs = 0;
  const clock = {
    nowMs: () => nowMs,
    wait: async (ms: number) => {
      pauses.push(ms);
      nowMs += ms;
    },
  };
  const { asked, open } = serviceOf(answers);
  const patience = new Patience(teller, never, clock);
  const events: unknown[] = [];
  for await (const event of followStream(open, 0, patience)) events.push(event);
  return { asked, events, told, pauses };
}

const event = (id: number) => `id: ${id}\ndata: {"n":${id}}\n\n`;

test("events in pieces cut anywhere, each once, and on after the last one", async () => {
  const cut = [...`retry: 2000\n\n:\n\n${event(1)}${event(2)}id: 3\nda`];
  const { asked, events } = await all([cut, [event(3)]]);
  expect(events).toEqual([1, 2, 3].map((id) => ({ id, data: { n: id } })));
  expect(asked).toEqual([0, 2, 3]);
});

test("a service that is away is waited for, and told of once", async () => {
  const gone = new NoAnswer("refuses connections");
  const busy = new Refused(503, "starting", { slug: "unavailable", retryAfterSeconds: 3 });
  const { asked, told, pauses } = await all([[event(1)], gone, gone, busy, [event(2)]]);
  expect(asked).toEqual([0, 1, 1, 1, 1, 2]);
  expect(told).toEqual(["gone", "back"]);
  expect(pauses.at(-1)).toBe(3000);
});

test("a stream that ends at once again and again is not asked without a pause", async () => {
  const { asked, pauses } = await all([[], [], [], [event(1)]]);
  expect(asked).toEqual([0, 0, 0, 0, 1]);
  expect(pauses.every((ms, at) => ms > 300 && (at === 0 || ms > (pauses[at - 1] ?? 0)))).toBe(true);
});

test("a service that is busy has answered, and is waited for from the first question on", async () => {
  const busy = new Refused(503, "starting", { slug: "unavailable" });
  expect((await all([busy, busy, [event(1)]])).asked).toEqual([0, 0, 0, 1]);
});

test.each([
  ["a full disk", [[event(1)], new Refused(507, "no room", { slug: "full" })]],
  ["nobody ever answered", [new NoAnswer("refuses connections")]],
  ["a refusal that does not pass", [[event(1)], new Refused(403, "no", { slug: "forbidden" })]],
  ["half an hour of nothing", [[event(1)], ...Array<Error>(400).fill(new NoAnswer("gone"))]],
  ["events of somebody else", [["id: x\ndata: y\n\n"]]],
  ["an event without end", [[`data: ${"x".repeat(2 ** 21)}`]]],
])("%s is an error", async (_, answers) => {
  await expect(all(answers)).rejects.toBeInstanceOf(Error);
});
