import { setTimeout as delay } from "node:timers/promises";
import { UsageError } from "#cli/exit-code.ts";
import type { HostView } from "#protocol/host-view.ts";
import { PATIENCE_WORDS, Patience } from "./patience.ts";
import type { Service } from "./service.ts";

const LOOK_AGAIN_MS = 2_000;

/** Looks until nothing runs on any of these hosts; a service that is away is waited for. Ctrl-C ends the process. */
export async function waitUntilDrained(
  { client }: Service,
  names: readonly string[],
): Promise<readonly HostView[]> {
  const { signal } = new AbortController();
  const say = (words: string) => void process.stderr.write(`${words}\n`);
  const patience = new Patience(
    {
      gone: (why) => say(PATIENCE_WORDS.gone(why)),
      back: (seconds) => say(PATIENCE_WORDS.back(seconds)),
    },
    signal,
  );
  for (;;) {
    const list = await patience.until(() => client.json("listHosts", { signal }));
    const hosts = (list?.hosts ?? []).filter(({ name }) => names.includes(name));
    const resumed = hosts.find(({ state }) => state === "ready");
    if (resumed !== undefined) throw new UsageError(`${resumed.name} was resumed by somebody`);
    if (hosts.every(({ doing }) => doing.length === 0)) return hosts;
    await delay(LOOK_AGAIN_MS);
  }
}
