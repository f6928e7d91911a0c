import { readFile } from "node:fs/promises";
import { download } from "#host/images/fetch/download.ts";
import { fetchRules } from "#host/images/fetch/url-rules.ts";

/**
 * A process that fetches one file, to be killed, or to be one of two: run-download.ts ORDER.json. It says `waits` when another one is
 * fetching it, and in the end the path.
 */
const [path = ""] = process.argv.slice(2);
const { source, folder, catalogue, ca } = JSON.parse(await readFile(path, "utf8"));
const order = {
  ...{ source, folder },
  rules: fetchRules({ catalogue, allowAddresses: ["127.0.0.0/8", "::1"], ca }),
  onProgress: () => undefined,
  onWait: () => process.stdout.write("waits\n"),
};
process.stdout.write(`${await download(order, AbortSignal.timeout(60_000))}\n`);
