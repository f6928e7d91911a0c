import { afterAll, beforeAll, expect, test } from "vitest";
import { connectLibvirt } from "#libvirt/client.ts";
import { PrivateLibvirtd } from "#test/kit/private-libvirtd.ts";

let libvirtd: PrivateLibvirtd;

beforeAll(async () => {
  libvirtd = await PrivateLibvirtd.start();
});

afterAll(async () => {
  await libvirtd[Symbol.asyncDispose]();
});

test("a libvirtd that is killed rejects what is under way; its successor is found and events resume", async () => {
  await using libvirt = await connectLibvirt(libvirtd.uri, { callTimeoutMs: 15_000 });
  const events = libvirt.events()[Symbol.asyncIterator]();
  expect((await events.next()).value).toEqual({ kind: "connected" });
  await libvirtd.signal("SIGSTOP");
  const pending = Array.from({ length: 5 }, () => libvirt.domains.list().catch((e: unknown) => e));
  const queued = libvirt.host.hostname();
  await libvirtd.signal("SIGKILL");
  for (const error of await Promise.all(pending))
    expect(error).toMatchObject({ trouble: "lost", maybeDone: true });
  expect((await events.next()).value).toMatchObject({ kind: "disconnected" });
  await libvirtd.restart();
  expect(await queued).not.toBe("");
  expect((await events.next()).value).toEqual({ kind: "reconnected" });
  const domain = (await libvirt.domains.lookupByName("test")) ?? expect.fail("no such domain");
  await libvirt.domains.suspend(domain);
  expect((await events.next()).value).toMatchObject({ kind: "lifecycle", event: "suspended" });
  await libvirt.domains.resume(domain);
});

test("a libvirtd that is stopped is noticed by keepalive, and used again when it goes on", async () => {
  await using libvirt = await connectLibvirt(libvirtd.uri, {
    keepalive: { intervalMs: 200, missedMax: 3 },
    callTimeoutMs: 15_000,
  });
  const events = libvirt.events()[Symbol.asyncIterator]();
  await events.next();
  await libvirtd.signal("SIGSTOP");
  const startMs = performance.now();
  await expect(libvirt.host.hostname()).rejects.toMatchObject({ trouble: "lost", maybeDone: true });
  // Three unanswered pings, one interval before the first, and one of slack for a busy machine.
  expect(performance.now() - startMs).toBeLessThan(5 * 200 + 500);
  expect((await events.next()).value).toMatchObject({ kind: "disconnected" });
  const patient = libvirt.host.hostname();
  await libvirtd.signal("SIGCONT");
  expect(await patient).not.toBe("");
  expect((await events.next()).value).toEqual({ kind: "reconnected" });
});

test("a libvirtd that is told to end is left, and its successor found", async () => {
  await using libvirt = await connectLibvirt(libvirtd.uri, { callTimeoutMs: 15_000 });
  const events = libvirt.events()[Symbol.asyncIterator]();
  await events.next();
  await libvirtd.signal("SIGTERM");
  expect((await events.next()).value).toMatchObject({ kind: "disconnected" });
  const patient = libvirt.host.hostname();
  await libvirtd.restart();
  expect(await patient).not.toBe("");
});
