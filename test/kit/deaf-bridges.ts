import { readdir } from "node:fs/promises";
import { call } from "./call.ts";

const TABLE = "testbed_drill";

/**
 * Between the host and the machines on some bridges nothing goes through any more, in either way, and nobody is told: until it is
 * disposed. A table of its own, so that the host's rules stay as they are.
 */
export async function deafBridges(prefix: string): Promise<AsyncDisposable> {
  const bridges = (await readdir("/sys/class/net")).filter((name) => name.startsWith(prefix));
  if (bridges.length === 0) throw new Error(`no bridge begins with ${prefix}`);
  const set = `{ ${bridges.map((name) => `"${name}"`).join(", ")} }`;
  const remove = () => call("nft", ["delete", "table", "inet", TABLE]);
  await remove().catch(() => undefined);
  await call("nft", ["add", "table", "inet", TABLE]);
  for (const [chain, device] of [
    ["input", "iifname"],
    ["output", "oifname"],
  ]) {
    const hook = `{ type filter hook ${chain} priority -300; }`;
    await call("nft", ["add", "chain", "inet", TABLE, chain ?? "", hook]);
    await call("nft", ["add", "rule", "inet", TABLE, chain ?? "", device ?? "", set, "drop"]);
  }
  return { [Symbol.asyncDispose]: async () => void (await remove()) };
}
