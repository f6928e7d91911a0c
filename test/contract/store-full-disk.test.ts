import { expect, test } from "vitest";
import { MemoryStore } from "#test/fakes/memory-store.ts";
import { FakeClock } from "#test/kit/fake-clock.ts";
import { asking, order, renewal, report } from "#test/kit/lease-messages.ts";

test("a full disk refuses what needs room, keeps what it has, and works again when there is room", async () => {
  const memory = new MemoryStore(new FakeClock(), 100);
  const store = memory.open();
  const first = await store.submit(order({ name: "first" }));
  const grant = await store.take(asking("lab-1"));
  const lease = grant?.lease ?? "";

  const pages = memory.database.prepare("PRAGMA page_count").get()?.["page_count"];
  memory.database.exec(`PRAGMA max_page_count = ${pages}`);
  const steps = [{ name: "build", run: "x".repeat(200_000) }];
  const large = order({ job: { image: "micro", steps } });
  await expect(store.submit(large)).rejects.toMatchObject({ code: "full" });
  expect(await store.renew(lease, "lab-1", renewal("leased"))).toMatchObject({ kind: "renewed" });
  expect((await store.list({ limit: 9 })).jobs).toMatchObject([{ name: "first" }]);

  memory.database.exec("PRAGMA max_page_count = 100000");
  expect(await store.submit(large)).toMatchObject({ kind: "queued" });
  const passed = report({ kind: "passed" });
  expect(await store.settle(lease, "lab-1", passed)).toMatchObject({ kind: "taken" });
  if (first.kind === "queued")
    expect(await store.show(first.id)).toMatchObject({ verdict: "passed" });
  expect(await store.take(asking("lab-1"))).toMatchObject({ attempt: 1 });
});
