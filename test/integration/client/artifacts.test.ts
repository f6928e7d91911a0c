import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import type { WireArtifact } from "#protocol/verdict.ts";
import { ClientDesk } from "#test/kit/client-desk.ts";

let desk: ClientDesk;

beforeEach(async () => {
  desk = await ClientDesk.forTest();
});

const BIG = Buffer.alloc(3 * 2 ** 20, "artifact ");

/** A settled job that brought these files home. */
async function jobWith(files: Readonly<Record<string, string | Buffer>>) {
  const host = await desk.host();
  await desk.run("submit", await desk.job());
  const { jobId } = await host.take();
  const artifacts: WireArtifact[] = [];
  for (const [path, content] of Object.entries(files))
    artifacts.push(await host.deliver(path, content));
  await host.settle({ kind: "passed" }, { artifacts });
  return { id: jobId, artifacts: artifacts.toSorted((a, b) => (a.path < b.path ? -1 : 1)) };
}

test("artifacts are listed, and fetched under their paths, each once", async () => {
  const files = { "build/out.bin": BIG, "build/copy.bin": BIG, "a b": "text", empty: "" };
  const { id, artifacts } = await jobWith(files);
  expect((await desk.json("artifacts", id)).artifacts).toEqual(artifacts);
  expect((await desk.run("artifacts", id)).stdout).toMatch(/build\/out\.bin +3\.0 MiB/);

  const to = join(desk.home, "out/deep");
  const first = await desk.json("artifacts", id, "--to", to);
  expect(first).toMatchObject({ attempt: 1, folder: to });
  expect(first.artifacts).toEqual(artifacts.map((one) => ({ ...one, state: "fetched" })));
  for (const [path, content] of Object.entries(files))
    expect((await readFile(join(to, path))).equals(Buffer.from(content))).toBe(true);
  expect((await readdir(to)).sort()).toEqual(["a b", "build", "empty"]);

  const again = await desk.run("artifacts", id, "--to", to);
  expect(again).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("all there before") });
});

test("nothing is overwritten unasked, and nothing is fetched then", async () => {
  const { id } = await jobWith({ one: "theirs", two: "more" });
  const to = join(desk.home, "out");
  await mkdir(to);
  await writeFile(join(to, "one"), "mine");
  const refused = await desk.run("artifacts", id, "--to", to);
  expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--force") });
  expect(await readdir(to)).toEqual(["one"]);
  expect((await desk.run("artifacts", id, "--to", to, "--force")).exitCode).toBe(0);
  expect(await readFile(join(to, "one"), "utf8")).toBe("theirs");
});

test("a link in the folder does not lead a guest's name out of it", async () => {
  const { id } = await jobWith({ "way/out": "x" });
  const to = join(desk.home, "out");
  await mkdir(to);
  await symlink(desk.home, join(to, "way"));
  const ran = await desk.run("artifacts", id, "--to", to);
  expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("in the way") });
  expect((await desk.run("artifacts", id, "--to", to, "--force")).exitCode).toBe(2);
  expect(await readdir(to)).toEqual(["way"]);
});

test("an interrupted download goes on where it ended, and a wrong part is fetched anew", async () => {
  const { id, artifacts } = await jobWith({ big: BIG });
  const part = `.testbed-part-${artifacts[0]?.sha256}`;
  const to = join(desk.home, "out");
  await mkdir(to);
  await writeFile(join(to, part), BIG.subarray(0, 1_000_000));
  await desk.json("artifacts", id, "--to", to);
  expect((await readFile(join(to, "big"))).equals(BIG)).toBe(true);

  const other = join(desk.home, "other");
  await mkdir(other);
  await writeFile(join(other, part), Buffer.alloc(1_000_000));
  await desk.json("artifacts", id, "--to", other);
  expect((await readFile(join(other, "big"))).equals(BIG)).toBe(true);
  expect(await readdir(other)).toEqual(["big"]);
});

/** A service that lies, with one job whose artifacts are these. */
async function liar(artifacts: readonly object[], content: string): Promise<Server> {
  const server = createServer((ask, answer) => {
    if (ask.url?.endsWith("/artifacts")) answer.end(JSON.stringify({ attempt: 1, artifacts }));
    else answer.writeHead(206, { "content-length": content.length }).end(content);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await desk.context("lab", "testbed_token", `http://127.0.0.1:${port}`);
  return server;
}

test.each([
  ["../out", "relative path without"],
  ["/etc/passwd", "relative path without"],
  ["a/../../b", "relative path without"],
  ["a\u0000b", "relative path without"],
])("a service that sends the path %j is not obeyed", async (path, says) => {
  const server = await liar([{ path, bytes: 4, sha256: "a1".repeat(32) }], "evil");
  try {
    const ran = await desk.run("artifacts", "0123456789abcdef", "--to", join(desk.home, "out"));
    expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(says) });
    await expect(stat(join(desk.home, "out/x"))).rejects.toThrow();
  } finally {
    server.close();
  }
});

test.each([
  ["evil", "does not have the digest"],
  ["evil and longer", "longer than was told"],
])("content %j that is not what was told is not kept", async (content, says) => {
  const server = await liar([{ path: "x", bytes: 4, sha256: "a1".repeat(32) }], content);
  try {
    const ran = await desk.run("artifacts", "0123456789abcdef", "--to", join(desk.home, "out"));
    expect(ran).toMatchObject({ exitCode: 3, stderr: expect.stringContaining(says) });
    expect(await readdir(join(desk.home, "out"))).toEqual([]);
  } finally {
    server.close();
  }
});
