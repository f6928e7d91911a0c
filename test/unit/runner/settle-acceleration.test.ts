import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { settleAcceleration } from "#host/runner/settle-acceleration.ts";
import { Fault } from "#job/fault.ts";
import { FakeImages } from "#test/fakes/fake-images.ts";
import { PAPER_IMAGE } from "#test/kit/orders.ts";
import { paperHouse } from "#test/kit/paper-house.ts";

const listener = { progress: () => undefined };
const inTime = () => AbortSignal.timeout(4_000);

async function houseWithProbe(kvm: boolean) {
  const house = await paperHouse();
  house.hypervisor.kvm = kvm;
  return Object.assign(house, { images: new FakeImages([{ ...PAPER_IMAGE, name: "micro" }]) });
}

test("tcg is never probed", async () => {
  await using house = await houseWithProbe(true);
  house.hypervisor.failNext("boot", new Error("must not boot"));
  expect(await settleAcceleration(house, "tcg", listener, inTime())).toBe("tcg");
});

test("auto is tcg where libvirt offers no KVM", async () => {
  await using house = await houseWithProbe(false);
  expect(await settleAcceleration(house, "auto", listener, inTime())).toBe("tcg");
});

test("auto is kvm where a small machine speaks under KVM, and the answer is remembered for this boot", async () => {
  await using house = await houseWithProbe(true);
  expect(await settleAcceleration(house, "auto", listener, inTime())).toBe("kvm");
  expect(house.hypervisor.machines.size).toBe(0);
  house.hypervisor.failNext("boot", new Error("must not boot again"));
  expect(await settleAcceleration(house, "auto", listener, inTime())).toBe("kvm");
});

test("auto is tcg where KVM starts no machine, and asking for kvm says why", async () => {
  await using house = await houseWithProbe(true);
  house.hypervisor.failNext("boot", new Fault("machine-refused", "permission denied"));
  expect(await settleAcceleration(house, "auto", listener, inTime())).toBe("tcg");
  const refusal = await settleAcceleration(house, "kvm", listener, inTime()).catch(Fault.from);
  expect(refusal).toMatchObject({
    code: "acceleration-unavailable",
    message: expect.stringContaining("permission denied"),
  });
});

test("what was found in an earlier boot of the host does not count", async () => {
  await using house = await houseWithProbe(true);
  const file = join(house.state.path, "acceleration.json");
  await writeFile(file, JSON.stringify({ boot: "another", acceleration: "tcg", why: "long ago" }));
  expect(await settleAcceleration(house, "auto", listener, inTime())).toBe("kvm");
  expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ acceleration: "kvm" });
});

test("trouble that is not KVM's is not remembered as KVM's", async () => {
  await using house = await houseWithProbe(true);
  house.hypervisor.failNext("boot", new Fault("host-path-closed", "chmod o+x /somewhere"));
  const refusal = await settleAcceleration(house, "auto", listener, inTime()).catch(Fault.from);
  expect(refusal).toMatchObject({ code: "host-path-closed" });
  expect(await settleAcceleration(house, "auto", listener, inTime())).toBe("kvm");
});

test("a damaged note of an earlier probe counts as none", async () => {
  await using house = await houseWithProbe(true);
  await writeFile(join(house.state.path, "acceleration.json"), "{");
  expect(await settleAcceleration(house, "auto", listener, inTime())).toBe("kvm");
});
