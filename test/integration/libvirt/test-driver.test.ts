import { afterAll, beforeAll, expect, test } from "vitest";
import { connectLibvirt, type Libvirt } from "#libvirt/client.ts";
import type { LibvirtEvent } from "#libvirt/event.ts";
import { PrivateLibvirtd } from "#test/kit/private-libvirtd.ts";

let libvirtd: PrivateLibvirtd;
let libvirt: Libvirt;

beforeAll(async () => {
  libvirtd = await PrivateLibvirtd.start();
  libvirt = await connectLibvirt(libvirtd.uri, { callTimeoutMs: 10_000 });
});

afterAll(async () => {
  await libvirt[Symbol.asyncDispose]();
  await libvirtd[Symbol.asyncDispose]();
});

const domainXml = (name: string) =>
  `<domain type='test'><name>${name}</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>`;

const networkXml = (name: string) =>
  `<network><name>${name}</name><bridge name='b-${name}'/><ip address='10.99.0.1' netmask='255.255.255.0'/></network>`;

async function next(events: AsyncIterator<LibvirtEvent>): Promise<LibvirtEvent> {
  return (await events.next()).value;
}

test("a domain lives from its definition to its removal, and every move sends its event", async () => {
  const events = libvirt.events()[Symbol.asyncIterator]();
  expect(await next(events)).toEqual({ kind: "connected" });
  const domain = await libvirt.domains.define(domainXml("whole-life"));
  expect(domain).toMatchObject({ name: "whole-life", id: -1 });
  expect(await libvirt.domains.state(domain)).toMatchObject({ state: "shutoff" });
  const running = await libvirt.domains.create(domain);
  expect(running.id).toBeGreaterThan(0);
  expect(await libvirt.domains.state(running)).toEqual({
    state: "running",
    reason: "booted",
    reasonCode: 1,
  });
  expect(await libvirt.domains.list()).toContainEqual(running);
  expect(await libvirt.domains.lookupByName("whole-life")).toEqual(running);
  expect(await libvirt.domains.lookupByUuid(domain.uuid)).toEqual(running);
  expect(await libvirt.domains.xml(running)).toContain("<name>whole-life</name>");
  await libvirt.domains.suspend(running);
  expect(await libvirt.domains.state(running)).toMatchObject({ state: "paused", reason: "user" });
  await libvirt.domains.resume(running);
  await libvirt.domains.destroy(running);
  expect(await libvirt.domains.state(domain)).toMatchObject({
    state: "shutoff",
    reason: "destroyed",
  });
  await libvirt.domains.undefine(domain);
  const seen: string[] = [];
  while (!seen.includes("undefined")) {
    const event = await next(events);
    if (event.kind === "lifecycle" && event.domain.uuid === domain.uuid) seen.push(event.event);
  }
  expect(seen).toEqual(["defined", "started", "suspended", "resumed", "stopped", "undefined"]);
  await events.return?.();
});

test("what does not exist is undefined, and what libvirt refuses has its code", async () => {
  expect(await libvirt.domains.lookupByName("nobody")).toBeUndefined();
  const uuid = "12345678-0000-4000-8000-000000000000";
  expect(await libvirt.domains.lookupByUuid(uuid)).toBeUndefined();
  expect(await libvirt.networks.lookupByName("nothing")).toBeUndefined();
  const gone = { name: "gone", uuid, id: 1 };
  await expect(libvirt.domains.destroy(gone)).rejects.toMatchObject({
    code: 42,
    codeName: "VIR_ERR_NO_DOMAIN",
    domainName: "VIR_FROM_TEST",
    level: "error",
    message: expect.stringContaining("gone"),
  });
  await expect(libvirt.domains.define("<domain>")).rejects.toMatchObject({
    codeName: "VIR_ERR_XML_DETAIL",
  });
  await expect(libvirt.host.domainCapabilities()).rejects.toMatchObject({
    codeName: "VIR_ERR_NO_SUPPORT",
  });
});

test("options reach libvirt as its flags", async () => {
  const domain = await libvirt.domains.define(domainXml("flagged"), { validate: true });
  // The test driver knows no flags of a start, and names the ones that it refuses.
  await expect(libvirt.domains.create(domain, { paused: true, autodestroy: true })).rejects.toThrow(
    "unsupported flags (0x3)",
  );
  await libvirt.domains.undefine(domain, { managedSave: true, snapshotsMetadata: true });
  expect(await libvirt.domains.lookupByName("flagged")).toBeUndefined();
});

test("a saved domain comes back as it was saved", async () => {
  const domain = await libvirt.domains.define(domainXml("saved"));
  await libvirt.domains.create(domain);
  const file = `${libvirtd.folder}/saved`;
  await libvirt.domains.save(domain, file);
  expect(await libvirt.domains.state(domain)).toMatchObject({ state: "shutoff", reason: "saved" });
  await libvirt.domains.restore(file);
  expect(await libvirt.domains.state(domain)).toMatchObject({
    state: "running",
    reason: "restored",
  });
  await libvirt.domains.destroy(domain);
  await libvirt.domains.undefine(domain);
});

test("a network lives from its definition to its removal", async () => {
  const network = await libvirt.networks.define(networkXml("n1"));
  expect(await libvirt.networks.isActive(network)).toBe(false);
  await libvirt.networks.create(network);
  await libvirt.networks.setAutostart(network, true);
  expect(await libvirt.networks.isActive(network)).toBe(true);
  expect(await libvirt.networks.list()).toContainEqual(network);
  expect(await libvirt.networks.lookupByName("n1")).toEqual(network);
  expect(await libvirt.networks.xml(network)).toContain("<name>n1</name>");
  await expect(libvirt.networks.leases(network)).rejects.toMatchObject({
    codeName: "VIR_ERR_NO_SUPPORT",
  });
  await libvirt.networks.destroy(network);
  await libvirt.networks.undefine(network);
  expect(await libvirt.networks.lookupByName("n1")).toBeUndefined();
});

test("the built-in domain shows its screen, statistics and addresses", async () => {
  const domain = (await libvirt.domains.lookupByName("test")) ?? expect.fail("no such domain");
  const screenshot = await libvirt.domains.screenshot(domain);
  expect(screenshot.mime).toBe("image/png");
  expect(screenshot.bytes.subarray(1, 4).toString()).toBe("PNG");
  expect(screenshot.bytes.subarray(-8, -4).toString()).toBe("IEND");
  const [stats] = await libvirt.domains.stats(["state"], { domains: [domain] });
  expect(stats?.domain.name).toBe("test");
  expect(stats?.values.get("state.state")).toBe(1);
  const [card] = await libvirt.domains.interfaceAddresses(domain, "lease");
  expect(card).toMatchObject({ mac: "aa:bb:cc:dd:ee:ff" });
  expect(card?.addresses[0]).toMatchObject({ family: "ipv4", prefix: 24 });
});

test("a screenshot over its limit is given up and the connection lives on", async () => {
  const domain = (await libvirt.domains.lookupByName("test")) ?? expect.fail("no such domain");
  for (let i = 0; i < 20; i += 1)
    await expect(libvirt.domains.screenshot(domain, { bytesMax: 100 })).rejects.toThrow("longer");
  expect((await libvirt.domains.screenshot(domain)).bytes.length).toBeGreaterThan(1_000);
});

test("the host tells its versions, name and capabilities", async () => {
  const { libvirt: version } = await libvirt.host.version();
  expect(version.major).toBeGreaterThanOrEqual(9);
  expect(await libvirt.host.hostname()).not.toBe("");
  expect(await libvirt.host.capabilities()).toContain("<capabilities>");
});

test("two hundred domains at once are made and removed over one connection", async () => {
  const names = Array.from({ length: 200 }, (_, number) => `many-${number}`);
  const domains = await Promise.all(
    names.map(async (name) => {
      const domain = await libvirt.domains.define(domainXml(name));
      return await libvirt.domains.create(domain);
    }),
  );
  const listed = new Set((await libvirt.domains.list()).map(({ name }) => name));
  expect(names.filter((name) => !listed.has(name))).toEqual([]);
  await Promise.all(
    domains.map(async (domain) => {
      await libvirt.domains.destroy(domain);
      await libvirt.domains.undefine(domain);
    }),
  );
});
