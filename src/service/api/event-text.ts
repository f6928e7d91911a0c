import type { ServerEvent } from "./ask.ts";

/** Events as text/event-stream (HTML, section 9.2). The first line makes the headers go out before anything happens. */
export async function* eventText(events: AsyncIterable<ServerEvent>): AsyncGenerator<string> {
  yield "retry: 2000\n\n";
  for await (const event of events) {
    yield event === "alive" ? ":\n\n" : `id: ${event.id}\ndata: ${JSON.stringify(event.data)}\n\n`;
  }
}
