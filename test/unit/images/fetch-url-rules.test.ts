import { describe, expect, test } from "vitest";
import { checkedUrl, fetchRules, pathInFolder } from "#host/images/fetch/url-rules.ts";
import { Fault } from "#job/fault.ts";

const rules = fetchRules({
  catalogue: "https://good.example/images/catalogue.json",
  hosts: ["cdn.example:8443", "xn--bcher-kva.example"],
});
const local = fetchRules({
  catalogue: "https://127.0.0.1:8443/catalogue.json",
  hosts: ["[::1]", "10.0.0.1"],
  allowAddresses: ["127.0.0.0/8", "::1"],
});

function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    const fault = Fault.from(error);
    expect(fault.code).toBe("image-refused");
    return fault.message;
  }
  return "";
}

/** What is refused and why, beside what is accepted and where that leads. */
const TABLE = [
  ["http://good.example/a", "is not https", "https://good.example/a", "good.example"],
  ["file:///etc/passwd", "is not https", "passwd", "good.example"],
  ["data:text/plain,a", "is not https", "text/plain,a", "good.example"],
  ["https://evil.example/a", "not among", "https://GOOD.example/a", "good.example"],
  ["//evil.example/a", "not among", "//good.example/a", "good.example"],
  ["https://good.example.evil.example/", "not among", "https:/good.example/", "good.example"],
  ["https://good@evil/", "user's name", "https://good.example/@evil/", "good.example"],
  ["https://good.example@evil/", "user's name", "/good.example@evil/", "good.example"],
  ["https://:secret@good.example/", "password", "https://@good.example/", "good.example"],
  ["https://good\\@evil/", "characters", "https://good.example/%5C@evil/", "good.example"],
  ["https://good.example\\@evil/", "characters", "./%5C@evil", "good.example"],
  ["https://good.example./a", "ends in a dot", "https://good.example/a.", "good.example"],
  ["https://%65vil.example/", "not among", "https://%67ood.example/", "good.example"],
  ["https://%61/", "not among", "/%61", "good.example"],
  ["https://good.example%2f@evil/", "user's name", "/good.example%2f", "good.example"],
  ["https://good.example:8443/", "not among", "https://good.example:443/", "good.example"],
  ["https://cdn.example/", "not among", "https://cdn.example:8443/", "cdn.example:8443"],
  [
    "https://bücher.example/",
    "characters",
    "https://xn--bcher-kva.example/",
    "xn--bcher-kva.example",
  ],
  ["https://127。0。0。1/", "characters", "/127.0.0.1/", "good.example"],
  ["https://good。example/", "characters", "https://good.example", "good.example"],
  ["https://good.example/\ta", "characters", "https://good.example/%09a", "good.example"],
  ["\nhttps://good.example/", "characters", "?a", "good.example"],
  ["", "characters", ".", "good.example"],
  ["https://", "no URL", "https:a", "good.example"],
  ["https://good.example:99999/", "no URL", "/:99999/", "good.example"],
  [`https://good.example/${"a".repeat(2100)}`, "at most", "a".repeat(2000), "good.example"],
] as const;

describe("an address", () => {
  test.each(TABLE)("%j is refused: %s; and %j leads to %s", (bad, why, good, host) => {
    expect(refusalOf(() => checkedUrl(bad, rules))).toContain(why);
    expect(checkedUrl(good, rules).host).toBe(host);
  });

  test.each([
    ["https://0/", "0.0.0.0"],
    ["https://[::]/", "::"],
    ["https://2130706433/", "127.0.0.1"],
    ["https://0x7f.1/", "127.0.0.1"],
    ["https://0177.0.0.1/", "127.0.0.1"],
    ["https://127.1/", "127.0.0.1"],
    ["https://%31%32%37.1/", "127.0.0.1"],
    ["https://[::ffff:127.0.0.1]/", "::ffff:7f00:1"],
    ["https://10.0.0.1/", "10.0.0.1"],
  ])("%s is known as a bare address", (text, address) => {
    expect(refusalOf(() => checkedUrl(text, rules))).toContain(`the bare address ${address}:`);
  });

  test("that is bare is fine where both the host and the address are allowed", () => {
    expect(checkedUrl("https://0x7f.1:8443/a", local).href).toBe("https://127.0.0.1:8443/a");
    expect(checkedUrl("https://[::1]/a", local).href).toBe("https://[::1]/a");
    expect(refusalOf(() => checkedUrl("https://127.0.0.2:8443/a", local))).toContain("not among");
    expect(refusalOf(() => checkedUrl("https://10.0.0.1/a", local))).toContain("bare address");
  });

  test("is relative to the catalogue, or to where a redirect came from", () => {
    expect(checkedUrl("a.qcow2", rules).href).toBe("https://good.example/images/a.qcow2");
    const from = new URL("https://cdn.example:8443/x/y");
    expect(checkedUrl("z", rules, from).href).toBe("https://cdn.example:8443/x/z");
    const bare = fetchRules({ hosts: ["good.example"] });
    expect(refusalOf(() => checkedUrl("a.qcow2", bare))).toContain("is no URL");
    expect(checkedUrl("https://good.example/a", bare).host).toBe("good.example");
  });
});

test.each(["a/b", "user@host", "a b", "", "host.", "host:port", "https://host", "ho\\st"])(
  "'%s' is no host",
  (host) => {
    expect(() => fetchRules({ hosts: [host] })).toThrow(TypeError);
    expect(() => fetchRules({ hosts: ["host", "host:1", "[::1]:1"] })).not.toThrow();
  },
);

test("a catalogue keeps the rules itself", () => {
  const of = (catalogue: string) => refusalOf(() => fetchRules({ catalogue }));
  expect(of("http://good.example/catalogue.json")).toContain("is not https");
  expect(of("https://user:secret@good.example/catalogue.json")).toContain("password");
  expect(of("https://127.0.0.1/catalogue.json")).toContain("bare address");
  expect(of("https://good.example/catalogue.json")).toBe("");
});

describe("a path of a catalogue in a folder", () => {
  test.each([
    ["../a", "a"],
    ["a/../b", "a/b"],
    ["/etc/passwd", "etc/passwd"],
    ["a//b", "a/..b"],
    ["./a", ".a"],
    ["a/", "a/b.c"],
    ["%2e%2e/a", "2e2e/a"],
    ["https://good.example/a", "good.example/a"],
    ["a\\b", "a-b"],
    ["a\0b", "a_b"],
    ["a?b", "a+b"],
    ["", "a"],
  ])("%j is refused, and %j is not", (bad, good) => {
    expect(refusalOf(() => pathInFolder("/srv/images", bad))).toContain("no plain path");
    expect(pathInFolder("/srv/images", good)).toBe(`/srv/images/${good}`);
  });
});
