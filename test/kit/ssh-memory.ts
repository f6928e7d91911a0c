import { readFileSync } from "node:fs";
import { connectTo } from "./ssh-connect.ts";

/**
 * A process of its own that follows one step of a guest on this host, so that its memory can be measured:
 *
 *     node ssh-memory.ts PORT LOG_PATH LIMIT_BYTES    (the guest's access as JSON on standard input)
 *
 * Prints how the step ended and the peak of the process's memory before and after it, in MiB, as JSON.
 */
const [port, logPath, limit] = process.argv.slice(2);
const { clientKey, hostKey } = JSON.parse(readFileSync(0, "utf8")) as Record<string, string>;
if (port === undefined || logPath === undefined || hostKey === undefined) throw new Error("usage");
const access = {
  login: "root",
  clientKey: String(clientKey),
  hostKey: Buffer.from(hostKey, "base64"),
  seedPath: "/none",
};
await using guest = await connectTo({ access, options: { port: Number(port) } });
const peakMiB = () => process.resourceUsage().maxRSS / 1024;
const beforeMiB = peakMiB();
const end = await guest.run(
  {
    number: 1,
    step: {
      name: "flood",
      run: "flood",
      when: "success",
      timeoutSeconds: undefined,
      silenceSeconds: undefined,
    },
    env: {},
    logPath,
    logLimitBytes: Number(limit),
    attemptSecondsLeft: undefined,
    isBegun: false,
  },
  new AbortController().signal,
);
process.stdout.write(JSON.stringify({ end, beforeMiB, peakMiB: peakMiB() }));
