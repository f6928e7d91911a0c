import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { eventually } from "#test/kit/eventually.ts";
import { TEST_STATE } from "#test/kit/house.ts";
import { expectNothingLeft } from "#test/kit/leftovers.ts";
import { startJob } from "#test/kit/testbed.ts";

/**
 * A guest asks the host's end of its bridge again and again, over both families. With the firewall's table it gets
 * nothing; the control takes the table away in the middle, and the same probe must then get through.
 */
test("a guest reaches nothing on the host, and would without the firewall", async () => {
  const server = createServer((_, response) => response.end("REACHED"));
  await new Promise<void>((resolve) => server.listen(0, "::", resolve));
  const { port } = server.address() as AddressInfo;
  const run = `
    until ip route | grep -q default && ip -6 route | grep -q '^default'; do sleep 0.2; done
    four=$(ip route | awk '/^default/ { print $3; exit }')
    prefix=$(ip -6 address show dev eth0 | sed -n 's,.*inet6 \\(fd[^/]*\\)/64 .*,\\1,p' | cut -d: -f1-4)
    for try in $(seq 60); do
      for host in "$four" "[$prefix::1]"; do
        timeout 2 wget -q -O - "http://$host:${port}/" 2>/dev/null && echo " $host" || echo "closed $host"
      done
    done`;
  try {
    await using job = await startJob({ steps: [{ name: "probe", run }] });
    await eventually(() => (job.output().match(/closed \[fd/g) ?? []).length >= 2, 120_000);
    expect(job.output()).toMatch(/closed 10\./);
    expect(job.output()).not.toContain("REACHED");
    await liftFirewall();
    await eventually(
      () => /REACHED 10\./.test(job.output()) && /REACHED \[fd/.test(job.output()),
      30_000,
    );
    job.kill("SIGINT");
    expect((await job.done).exitCode).toBe(130);
  } finally {
    server.close();
  }
  await expectNothingLeft();
});

/** The next machine that boots puts it back. */
async function liftFirewall(): Promise<void> {
  const installation = await readFile(join(TEST_STATE, "installation"), "utf8");
  const table = `testbed_${installation.slice(0, 8)}`;
  await promisify(execFile)("nft", ["delete", "table", "inet", table]);
}
