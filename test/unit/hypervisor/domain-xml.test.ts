import { expect, test } from "vitest";
import { domainXml } from "#host/hypervisor/domain-xml.ts";
import { isOurs } from "#host/hypervisor/ownership.ts";
import { fromXml } from "#host/hypervisor/xml.ts";
import { machineOrder } from "#test/kit/orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const INSTALLATION = "0123456789abcdef0123456789abcdef";

async function order() {
  await using folder = await scratchFolder();
  return await machineOrder({ path: folder.path, installation: INSTALLATION }, "job");
}

test("values from outside stay values: markup in them adds no element", async () => {
  const plain = await order();
  const evil = `x'/><devices><hostdev mode="subsystem"/></devices><!--&amp;]]>`;
  const image = { ...plain.image, boot: { ...plain.image.boot, commandLine: evil } };
  const domain = fromXml(domainXml({ ...plain, image }, "net", undefined)).at("domain");
  expect(domain.at("os", "cmdline").text).toBe(evil);
  expect(domain.all("devices").length).toBe(1);
  expect(domain.at("devices").all("hostdev")).toEqual([]);
});

test("a machine that boots by UEFI has its host's firmware, read-only, variables in its own folder, and no kernel", async () => {
  const plain = await order();
  const boot = { kind: "uefi" } as const;
  for (const [architecture, code] of [
    ["x86_64", "/usr/share/OVMF/OVMF_CODE_4M.fd"],
    ["aarch64", "/usr/share/AAVMF/AAVMF_CODE.fd"],
  ] as const) {
    const image = { ...plain.image, architecture, boot };
    const os = fromXml(domainXml({ ...plain, image }, "net", undefined)).at("domain", "os");
    const loader = os.at("loader");
    expect([loader.text, loader.attribute("readonly"), loader.attribute("type")]).toEqual([
      code,
      "yes",
      "pflash",
    ]);
    expect(os.at("nvram").text).toBe(`${plain.folder}/nvram.fd`);
    expect(os.attribute("firmware")).toBeUndefined();
    expect([...os.all("kernel"), ...os.all("initrd"), ...os.all("cmdline")]).toEqual([]);
  }
});

test("a machine whose kernel lies beside its disk has no firmware but QEMU's own", async () => {
  const os = fromXml(domainXml(await order(), "net", undefined)).at("domain", "os");
  expect(os.at("kernel").text).toBe("/images/paper/kernel");
  expect([...os.all("loader"), ...os.all("nvram")]).toEqual([]);
});

test("a control character is refused, not written", async () => {
  const plain = await order();
  const image = { ...plain.image, boot: { ...plain.image.boot, commandLine: "a\u0000b" } };
  expect(() => domainXml({ ...plain, image }, "net", undefined)).toThrow("control character");
});

test("every disk declares its format and the whole backing chain", async () => {
  const disks = fromXml(domainXml(await order(), "net", undefined))
    .at("domain", "devices")
    .all("disk");
  expect(disks.map((disk) => disk.at("driver").attribute("type"))).toEqual(["qcow2", "raw"]);
  const base = disks[0]?.at("backingStore");
  expect(base?.at("format").attribute("type")).toBe("qcow2");
  expect(base?.all("backingStore").length).toBe(1);
  expect(base?.at("backingStore").attribute("type")).toBeUndefined();
});

test("with an owner for the disks nothing is relabelled", async () => {
  const xml = fromXml(domainXml(await order(), "net", { uid: 107, gid: 108 }));
  const label = xml.at("domain", "seclabel");
  expect([label.attribute("relabel"), label.at("label").text]).toEqual(["no", "+107:+108"]);
});

test("a machine is ours by name and by metadata, and by neither alone", async () => {
  const { name, ...rest } = await order();
  const xml = domainXml({ name, ...rest }, "net", undefined);
  expect(isOurs(name, xml, INSTALLATION)).toBe(true);
  expect(isOurs("somebody", xml, INSTALLATION)).toBe(false);
  expect(isOurs(name, "<domain/>", INSTALLATION)).toBe(false);
  expect(isOurs(name, xml, INSTALLATION.replace("f", "e"))).toBe(false);
});
