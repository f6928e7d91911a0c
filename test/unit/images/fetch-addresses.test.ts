import { describe, expect, test } from "vitest";
import { addressList, dialable, whyNotDialled } from "#host/images/fetch/addresses.ts";
import { Fault } from "#job/fault.ts";

const own = addressList(["192.0.2.7", "2001:db8::7"]);
const nothing = addressList([]);

/** Each refused address beside one that is accepted and looks much like it. */
const TABLE = [
  ["127.0.0.1", "loopback", "128.0.0.1"],
  ["127.255.255.254", "loopback", "126.255.255.254"],
  ["0.0.0.0", "means this host", "1.0.0.0"],
  ["0.1.2.3", "means this host", "10.1.2.3"],
  ["169.254.169.254", "link-local", "169.253.169.254"],
  ["224.0.0.251", "multicast", "223.0.0.251"],
  ["255.255.255.255", "broadcast", "198.51.100.255"],
  ["192.0.2.7", "this host", "192.0.2.8"],
  ["::", "means this host", "2001:db8::"],
  ["::1", "loopback", "2001:db8::1"],
  ["fe80::1", "link-local", "fd00::1"],
  ["fe80::1%eth0", "link-local", "fd00::2"],
  ["ff02::1", "multicast", "fc02::1"],
  ["fd00:ec2::254", "metadata", "fd00:ec2::253"],
  ["2001:db8::7", "this host", "2001:db8::8"],
  ["::ffff:127.0.0.1", "loopback", "::ffff:192.168.1.1"],
  ["::ffff:7f00:1", "loopback", "::ffff:c0a8:101"],
  ["::ffff:192.0.2.7", "this host", "::ffff:192.0.2.8"],
  ["::127.0.0.1", "loopback", "::192.168.1.1"],
  ["64:ff9b::7f00:1", "loopback", "64:ff9b::c0a8:101"],
  ["64:ff9b::169.254.169.254", "link-local", "64:ff9b::169.253.169.254"],
  ["64:ff9b:1::7f00:1", "loopback", "64:ff9b:1::c0a8:101"],
  ["2002:7f00:1::1", "loopback", "2002:c0a8:101::1"],
  ["2002:c000:207::", "this host", "2002:c000:208::"],
  ["no address", "no address", "10.0.0.1"],
  ["", "no address", "172.16.0.1"],
] as const;

describe("an address", () => {
  test.each(TABLE)("%s is refused: %s; and %s is not", (address, why, twin) => {
    expect(whyNotDialled(address, { allowed: nothing, own })).toContain(why);
    expect(whyNotDialled(twin, { allowed: nothing, own })).toBeUndefined();
  });

  test.each([
    ["127.0.0.1", "127.0.0.0/8"],
    ["::1", "::1"],
    ["::ffff:127.0.0.1", "127.0.0.0/8"],
    ["64:ff9b::7f00:1", "127.0.0.0/8"],
    ["fe80::1%eth0", "fe80::/10"],
    ["192.0.2.7", "192.0.2.7/32"],
  ])("%s may be dialled where %s is allowed", (address, cidr) => {
    expect(whyNotDialled(address, { allowed: addressList([cidr]), own })).toBeUndefined();
  });
});

test.each(["", "127.0.0.0/33", "::/129", "127.0.0.0/", "localhost", "127.1/8", "1.2.3.4/-1"])(
  "'%s' is no address range",
  (cidr) => {
    expect(() => addressList([cidr])).toThrow(TypeError);
    expect(() => addressList(["127.0.0.0/32"])).not.toThrow();
  },
);

describe("a name", () => {
  const answering = (...addresses: string[]) => ({
    allowed: nothing,
    resolve: async () =>
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
  });

  test("is dialled at the addresses that it had when it was looked up, once", async () => {
    const times: string[] = [];
    const resolve = async (hostname: string) => {
      times.push(hostname);
      return [{ address: times.length === 1 ? "10.0.0.1" : "127.0.0.1", family: 4 }];
    };
    const addresses = await dialable("files.example", { allowed: nothing, resolve });
    expect(addresses).toEqual([{ address: "10.0.0.1", family: 4 }]);
    expect(times).toEqual(["files.example"]);
  });

  test("is refused when one of its addresses is", async () => {
    const bad = answering("10.0.0.1", "169.254.169.254");
    const fault = await dialable("files.example", bad).then(() => undefined, Fault.from);
    expect(fault).toMatchObject({ code: "image-refused", blame: "image" });
    expect(fault?.message).toContain("files.example: 169.254.169.254 is a link-local address");
    expect(await dialable("files.example", answering("10.0.0.1", "fd00::1"))).toHaveLength(2);
  });

  test("that is an address is not looked up, and is checked like any other", async () => {
    const fault = await dialable("[::1]", answering("10.0.0.1")).then(() => undefined, Fault.from);
    expect(fault?.message).toContain("is this host's loopback");
    expect(await dialable("[fd00::1]", answering("127.0.0.1"))).toEqual([
      { address: "fd00::1", family: 6 },
    ]);
  });
});
