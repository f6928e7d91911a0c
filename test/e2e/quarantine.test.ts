import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { slotNetwork } from "#host/hypervisor/slot-network.ts";
import { eventually } from "#test/kit/eventually.ts";
import { Lab, stateOf } from "#test/kit/lab.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const call = promisify(execFile);
const HOST = "lab-q";
const HELLO = [{ name: "hello", run: "echo hello" }];

type Status = { readonly state: string; readonly why?: string };

/** Somebody else's bridge stands where the host's first machine needs its own: libvirt does not make that network any more. */
async function standInTheWay(): Promise<AsyncDisposable> {
  const installation = (await readFile(join(stateOf(HOST), "installation"), "utf8")).trim();
  const { name, bridge } = slotNetwork(installation, 0, 0);
  // Of an earlier run of this test.
  for (const verb of ["net-destroy", "net-undefine"])
    await call("virsh", ["-c", "qemu:///system", verb, name]).catch(() => undefined);
  await call("ip", ["link", "add", bridge, "type", "bridge"]);
  return {
    [Symbol.asyncDispose]: async () => {
      await call("ip", ["link", "delete", bridge]);
    },
  };
}

test("a host whose machines have no network goes into quarantine, and out of it when a real machine passes a health check", {
  timeout: 400_000,
}, async () => {
  await using scratch = await scratchFolder();
  await using lab = await Lab.embedded(scratch.path, HOST, 1, {
    hostConfig: { quarantine: { after: 3, firstPause: "2s", longestPause: "5s" } },
  });
  const status = async (): Promise<Status> => {
    const args = ["host", "status", "--state", stateOf(HOST), "--json"];
    return JSON.parse((await lab.testbed(...args)).stdout) as Status;
  };
  const waiting = await (async () => {
    await using _ = await standInTheWay();
    for (let at = 0; at < 3; at += 1) {
      const job = await lab.submit(`breaks-${at}`, { steps: HELLO, attempts: 1 });
      const { attemptList } = await lab.settled(job);
      expect(attemptList[0]?.verdict?.fault).toMatchObject({ code: "network-unavailable" });
    }
    await eventually(async () => (await status()).state === "quarantined", 10_000);
    expect((await status()).why).toMatch(/broke 3 times in a row .* with network-unavailable/);
    // Its own checks meet the same, and it stays where it is.
    await eventually(
      async () =>
        /at last a health check with network-unavailable/.test((await status()).why ?? ""),
      60_000,
    );
    const job = await lab.submit("waits", { steps: HELLO, attempts: 1 });
    await eventually(async () => (await lab.show(job)).waiting !== undefined, 20_000);
    expect((await status()).state).toBe("quarantined");
    return job;
  })();
  const detail = await lab.settled(waiting);
  expect(detail).toMatchObject({ verdict: "passed", host: HOST });
  expect(detail.attemptList).toHaveLength(1);
  const health = join(stateOf(HOST), "health");
  expect(await readFile(join(health, "steps/01-compute.log"), "utf8")).toMatch(
    /^testbed computes [0-9]+\n$/,
  );
  expect(await readFile(join(health, "console.log"), "utf8")).toContain("testbed: settled");
  expect((await status()).state).toBe("working");
  expect(existsSync(join(stateOf(HOST), "quarantine.json"))).toBe(false);
});
