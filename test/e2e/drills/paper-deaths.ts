import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { lossyProxy } from "#test/kit/lossy-proxy.ts";
import { PAPER_HOST, type PaperStage } from "./paper-stage.ts";

/**
 * A drill: a daemon on paper is killed when the service has answered something, before it hears so, and the next one begins. What it
 * knew of machines on paper dies with it, so this is for what comes before them and after.
 */
export function diesUnheard(
  isIt: (request: IncomingMessage, status: number) => boolean,
  submit: (stage: PaperStage) => Promise<string>,
) {
  return async (stage: PaperStage): Promise<void> => {
    const { room } = stage;
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    await using proxy = await lossyProxy(room.service.url, (request, status) => {
      if (!isIt(request, status)) return false;
      resolve();
      return true;
    });
    const child = await room.spawn(PAPER_HOST, "", proxy.url);
    const dead = once(child, "exit");
    void answered.then(() => child.kill("SIGKILL"));
    await submit(stage);
    await dead;
    await room.spawn(PAPER_HOST);
  };
}
