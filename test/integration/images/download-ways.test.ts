import { describe, expect, test } from "vitest";
import { type FetchRules, fetchRules } from "#host/images/fetch/url-rules.ts";
import { fetchDesk, leftIn } from "#test/kit/fetch-desk.ts";
import { redirect, serve } from "#test/kit/file-server.ts";

describe("a redirect", () => {
  test("is followed three times, and no more, with the range that is asked for", async () => {
    await using desk = await fetchDesk();
    const hop = redirect("/elsewhere");
    desk.server.answers(
      hop,
      redirect("./a", 301),
      redirect(desk.server.url("/b"), 308),
      serve(desk.content),
    );
    await desk.download();
    expect(desk.server.asked.map(({ path }) => path)).toEqual(["/disk", "/elsewhere", "/a", "/b"]);
    await using other = await fetchDesk();
    other.server.answers(redirect("/disk"));
    const fault = await other.faultOf();
    expect(fault.code).toBe("image-refused");
    expect(fault.message).toContain("redirects more than 3 times");
    expect(other.server.asked).toHaveLength(4);
    expect(await leftIn(other.folder)).toEqual([]);
  });

  test.each([
    ["another host", "https://evil.example/disk", "is not among the catalogue's hosts"],
    ["another port", "https://files.example:1/disk", "is not among the catalogue's hosts"],
    ["another scheme", "http://files.example/disk", "is not https"],
    ["a file", "file:///etc/passwd", "is not https"],
    ["a link-local address", "https://169.254.169.254/latest", "means the bare address"],
    ["with a password", "https://user:secret@files.example/disk", "user's name or password"],
  ])("to %s is refused", async (_name, location, why) => {
    await using desk = await fetchDesk();
    desk.server.answers(redirect(location));
    const fault = await desk.faultOf();
    expect(fault.code).toBe("image-refused");
    expect(fault.message).toContain(why);
    expect(desk.server.asked).toHaveLength(1);
  });

  test("to a host that is allowed is followed, and is not when its name means a link-local address", async () => {
    await using desk = await fetchDesk();
    const host = `other.example:${desk.server.port}`;
    const rules = desk.server.rules({ hosts: [host] });
    desk.server.answers(redirect(`https://${host}/disk`), serve(desk.content));
    await desk.download({ rules });
    expect(desk.server.asked.map(({ headers }) => headers.host)).toEqual([
      `files.example:${desk.server.port}`,
      host,
    ]);
    await using other = await fetchDesk();
    const rebound = `other.example:${other.server.port}`;
    other.server.answers(redirect(`https://${rebound}/disk`), serve(other.content));
    const fault = await other.faultOf({
      rules: {
        ...other.server.rules({ hosts: [rebound] }),
        resolve: async (name) => [
          { address: name === "other.example" ? "169.254.169.254" : "127.0.0.1", family: 4 },
        ],
      },
    });
    expect(fault.message).toContain("other.example: 169.254.169.254 is a link-local address");
    expect(other.server.asked).toHaveLength(1);
  });
});

describe("a connection", () => {
  test("goes to the address that was checked: a name is looked up once", async () => {
    await using desk = await fetchDesk();
    desk.server.answers(serve(desk.content));
    const asked: string[] = [];
    const resolve = async (name: string) => {
      asked.push(name);
      return [{ address: asked.length === 1 ? "127.0.0.1" : "127.0.0.2", family: 4 }];
    };
    await desk.download({ rules: { ...desk.server.rules(), resolve } });
    expect(asked).toEqual(["files.example"]);
  });

  test("is not made to loopback unless that is allowed", async () => {
    await using desk = await fetchDesk();
    desk.server.answers(serve(desk.content));
    const { allowed } = fetchRules({});
    const fault = await desk.faultOf({ rules: { ...desk.server.rules(), allowed } });
    expect(fault.code).toBe("image-refused");
    expect(fault.message).toContain("127.0.0.1 is this host's loopback");
    expect(desk.server.asked).toEqual([]);
  });

  test("needs a certificate that is trusted, for this name; asking again is of no use", async () => {
    await using desk = await fetchDesk();
    desk.server.answers(serve(desk.content));
    let times = 0;
    const resolve: FetchRules["resolve"] = async () => {
      times += 1;
      return [{ address: "127.0.0.1", family: 4 }];
    };
    const stranger = await desk.faultOf({
      rules: { ...desk.server.rules(), ca: undefined, resolve },
    });
    expect(times).toBe(1);
    expect(stranger).toMatchObject({ code: "image-fetch-failed" });
    expect(stranger.message).toMatch(/certificate/);
    const base = `https://unnamed.example:${desk.server.port}/`;
    const rules = { ...desk.server.rules({ hosts: [new URL(base).host] }) };
    const source = { ...desk.source, url: `${base}disk` };
    expect((await desk.faultOf({ rules, source })).message).toMatch(/certificate for another name/);
    expect(desk.server.asked).toEqual([]);
  });
});
