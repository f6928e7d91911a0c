import { monitorEventLoopDelay } from "node:perf_hooks";
import { text } from "node:stream/consumers";
import { setImmediate } from "node:timers/promises";
import { openLog } from "#lib/log.ts";

/**
 * A process that logs as many lines as it is told while nobody may be reading, says on standard output how it went (the
 * longest stop of its event loop, its memory), waits for the end of standard input, and closes its log.
 */
const lines = Number(process.argv[2]);
const delay = monitorEventLoopDelay({ resolution: 1 });
const log = openLog({ level: "info", form: "json" });
delay.enable();
for (let line = 0; line < lines; line += 1) {
  log.info("line", { line, filler: "x".repeat(200) });
  if (line % 20 === 0) await setImmediate();
}
const rssMiB = process.memoryUsage().rss / 2 ** 20;
process.stdout.write(`${JSON.stringify({ delayMs: delay.max / 1e6, rssMiB })}\n`);
await text(process.stdin);
const begunMs = performance.now();
await log[Symbol.asyncDispose]();
process.stdout.write(JSON.stringify({ closeMs: performance.now() - begunMs }), () => {
  process.exit();
});
