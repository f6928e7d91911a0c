import { expect, test } from "vitest";
import { removeDomain } from "#host/hypervisor/remove-domain.ts";
import { connectLibvirt } from "#libvirt/client.ts";
import { FakeLibvirtServer } from "#test/fakes/libvirt-server.ts";

/** libvirt's numbers (https://libvirt.org/html/libvirt-virterror.html): not in this state; an error of the system. */
const OPERATION_INVALID = 55;
const SYSTEM_ERROR = 38;
const KEEP_NVRAM = 8;
const DOMAIN = { name: "one", uuid: "12345678-0000-4000-8000-000000000000", id: -1 };

/** A daemon that refuses to undefine the domain as QEMU's driver does; and all flags that it was asked with. */
async function daemon(refusal?: { code: number; unless: number }) {
  const server = await FakeLibvirtServer.listen();
  const libvirt = await connectLibvirt(server.uri);
  const asked: number[] = [];
  server.on("domainDestroyFlags", (call) => call.reply());
  server.on("domainUndefineFlags", (call) => {
    const { flags } = call.args;
    asked.push(flags);
    if (refusal === undefined || flags === refusal.unless) call.reply();
    else call.refuse(refusal.code, "cannot undefine domain with nvram");
  });
  return {
    libvirt,
    asked,
    [Symbol.asyncDispose]: async () => {
      await libvirt[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

test("a domain with firmware variables is undefined, and they are left to its folder", async () => {
  await using room = await daemon({ code: OPERATION_INVALID, unless: KEEP_NVRAM });
  await removeDomain(room.libvirt, DOMAIN);
  expect(room.asked).toEqual([0, KEEP_NVRAM]);
});

test("a domain without them is undefined with one call and no flag, which every driver knows", async () => {
  await using room = await daemon();
  await removeDomain(room.libvirt, DOMAIN);
  expect(room.asked).toEqual([0]);
});

test("another refusal is told, and not tried again", async () => {
  await using room = await daemon({ code: SYSTEM_ERROR, unless: KEEP_NVRAM });
  await expect(removeDomain(room.libvirt, DOMAIN)).rejects.toMatchObject({
    codeName: "VIR_ERR_SYSTEM_ERROR",
  });
  expect(room.asked).toEqual([0]);
});
