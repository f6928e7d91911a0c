import { SqliteStore } from "#service/store/sqlite-store.ts";
import { asking, order, report } from "./lease-messages.ts";

/**
 * A program that uses the store at the path it is given without a pause, until it is killed, and prints a line for each thing
 * that the store has promised: `submitted ID`, `leased LEASE`, `settled LEASE`.
 */

const CALLERS = 16;

const [, , path = ""] = process.argv;
const store = await SqliteStore.open({
  path,
  leaseSeconds: 100,
  clock: { monotonicMs: () => performance.now(), wallMs: () => Date.now() },
});

async function call(host: string): Promise<never> {
  for (;;) {
    const submitted = await store.submit(order());
    if (submitted.kind === "queued") process.stdout.write(`submitted ${submitted.id}\n`);
    const grant = await store.take(
      asking(host, { requestId: crypto.randomUUID().replaceAll("-", "") }),
    );
    if (grant === undefined) continue;
    process.stdout.write(`leased ${grant.lease}\n`);
    await store.settle(grant.lease, host, report({ kind: "passed" }));
    process.stdout.write(`settled ${grant.lease}\n`);
  }
}

await Promise.all(Array.from({ length: CALLERS }, (_, number) => call(`lab-${number}`)));
