import type { Readable } from "node:stream";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import type { HttpAnswer } from "#lib/http-client.ts";
import type { Patience } from "./patience.ts";
import { ForeignAnswer } from "./service-error.ts";

/** One server-sent event of a stream whose ids are growing numbers. */
export type StreamEvent = { readonly id: number; readonly data: unknown };

/** The longest event of ours is a piece of a log, 64 KiB in base64. */
const EVENT_CHARACTERS_MAX = 1024 * 1024;

/**
 * The events after an id, each once, until the service says that nothing more will come (204). `open` asks for those
 * after an id; a stream that breaks or ends is opened again after the last event.
 */
export async function* followStream(
  open: (after: number) => Promise<HttpAnswer>,
  after: number,
  patience: Patience,
): AsyncGenerator<StreamEvent> {
  let at = after;
  for (let tries = 0; ; tries += 1) {
    const answer = await patience.until(() => open(at));
    if (answer.status === 204) {
      answer.body.resume();
      return;
    }
    try {
      for await (const event of eventsOf(answer.body)) {
        tries = -1;
        at = event.id;
        yield event;
      }
      if (tries >= 0) await patience.pause(tries);
    } catch (error) {
      if (error instanceof ForeignAnswer) throw error;
      // Not worth a word: who stands still for long, a pager say, loses the connection too. When the service is gone,
      // opening it again will tell.
      await patience.pause(Math.max(tries, 0));
    } finally {
      answer.body.destroy();
    }
  }
}

/** The events of one stream (HTML, section 9.2). Throws `ForeignAnswer` for what is none. */
async function* eventsOf(body: Readable): AsyncGenerator<StreamEvent> {
  const came: EventSourceMessage[] = [];
  const parser = createParser({
    maxBufferSize: EVENT_CHARACTERS_MAX,
    onEvent: (event) => came.push(event),
    onError: (error) => {
      if (error.type === "max-buffer-size-exceeded")
        throw new ForeignAnswer("an event is too long");
    },
  });
  const decoder = new TextDecoder();
  for await (const piece of body as AsyncIterable<Buffer>) {
    parser.feed(decoder.decode(piece, { stream: true }));
    for (const event of came.splice(0)) yield streamEvent(event);
  }
}

function streamEvent({ id = "", data }: EventSourceMessage): StreamEvent {
  try {
    if (/^\d{1,15}$/.test(id)) return { id: Number(id), data: JSON.parse(data) as unknown };
  } catch {
    // Told below.
  }
  throw new ForeignAnswer("its events are not those of a job service");
}
