import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeEach, expect, test } from "vitest";
import { ClientDesk } from "#test/kit/client-desk.ts";

let desk: ClientDesk;

beforeEach(async () => {
  desk = await ClientDesk.forTest();
});

const file = () => join(desk.home, ".config/testbed/config.yaml");
const says = (text: string | RegExp) => ({
  exitCode: 2,
  stderr: typeof text === "string" ? expect.stringContaining(text) : expect.stringMatching(text),
});

test("the file's current context, another by name, and the environment before the file", async () => {
  expect((await desk.run("jobs")).exitCode).toBe(0);
  expect(await desk.run("jobs", "--context", "labb")).toMatchObject(says("did you mean 'lab'?"));
  desk.env["TESTBED_CONTEXT"] = "nowhere";
  expect(await desk.run("jobs")).toMatchObject(says("no context 'nowhere'; there is lab"));
  expect((await desk.run("jobs", "--context", "lab")).exitCode).toBe(0);
  desk.env["TESTBED_SERVICE"] = desk.room.url;
  expect(await desk.run("jobs")).toMatchObject(says("set one of them"));
  delete desk.env["TESTBED_CONTEXT"];
  expect(await desk.run("jobs")).toMatchObject(says("needs a token"));
  desk.env["TESTBED_TOKEN"] = await desk.room.token("bob", "viewer");
  expect((await desk.run("jobs")).exitCode).toBe(0);
  delete desk.env["TESTBED_SERVICE"];
  const refused = await desk.run("submit", await desk.job());
  expect(refused).toMatchObject(says("the token's role is viewer"));
  expect(refused.stderr).toContain("it is from TESTBED_TOKEN");
});

test("over the Unix socket, and without any context the service of this machine", async () => {
  const token = await desk.file("token", await desk.room.token("ada", "submitter"));
  await chmod(token, 0o600);
  desk.env["TESTBED_TOKEN_FILE"] = token;
  expect((await desk.run("jobs", "--service", `unix:${desk.room.socket}`)).exitCode).toBe(0);
  delete desk.env["TESTBED_TOKEN_FILE"];
  await writeFile(file(), "# nothing yet\n");
  expect(await desk.run("jobs")).toMatchObject(says("no job service is named"));
  const folder = join(desk.home, "state/service");
  await mkdir(folder, { recursive: true });
  await symlink(desk.room.socket, join(folder, "service.sock"));
  await writeFile(join(folder, "local-secret"), `${desk.room.localSecret}\n`, { mode: 0o600 });
  const id = (await desk.run("submit", await desk.job())).stdout.trim();
  expect(await desk.json("job", id)).toMatchObject({ owner: "local" });
  expect((await desk.json("token", "list")).tokens).not.toEqual([]);
});

test("what others may read or change is refused, with the chmod to type", async () => {
  await chmod(join(desk.home, ".config/testbed/lab.token"), 0o644);
  expect(await desk.run("jobs")).toMatchObject(says(/lab\.token.*chmod 0600/));
  await chmod(join(desk.home, ".config/testbed/lab.token"), 0o600);
  await chmod(file(), 0o666);
  expect(await desk.run("jobs")).toMatchObject(says(/config\.yaml.*chmod 600/));
});

test("mistakes in the file are told with their places, also as JSON", async () => {
  await writeFile(file(), "contexts:\n  lab:\n    service: jobs.example\n    token: testbed_x\n");
  const ran = await desk.run("jobs", "--json");
  expect(ran.exitCode).toBe(2);
  const { problems, message } = JSON.parse(ran.stdout).error;
  expect(problems).toMatchObject([
    { place: { line: 3 }, path: "contexts.lab.service" },
    { place: { line: 4 }, path: "contexts.lab.token" },
  ]);
  expect(message).toContain("https://HOST");
});

test("a token that nobody knows, and nobody who answers", async () => {
  await desk.context("lab", `testbed_${"x".repeat(43)}`);
  const unknown = await desk.run("jobs", "--json");
  expect(unknown.exitCode).toBe(2);
  expect(JSON.parse(unknown.stdout).error).toMatchObject({ problem: "unauthenticated" });
  expect(unknown.stderr).toMatch(/context lab.*lab\.token/);
  await desk.room.stop();
  const gone = await desk.run("submit", await desk.job());
  expect(gone).toMatchObject({ exitCode: 3, stdout: "" });
  expect(gone.stderr).toMatch(/context lab.*is the server running\?/);
});

test("another server is no job service", async () => {
  const server = createServer((_, answer) => void answer.writeHead(404).end("<html>"));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await desk.context("lab", "testbed_x", `http://127.0.0.1:${port}`);
  const ran = await desk.run("jobs");
  server.close();
  expect(ran).toMatchObject({ exitCode: 3, stderr: expect.stringContaining("job service") });
});

test("a certificate of one's own authority is trusted by name alone", async () => {
  const [cert, key] = [join(desk.home, "cert.pem"), join(desk.home, "key.pem")];
  const made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(
    " ",
  );
  const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
  await promisify(execFile)("openssl", [...made, ...name, "-keyout", key, "-out", cert]);
  const tls = { cert: await readFile(cert), key: await readFile(key) };
  const server = createTlsServer(tls, (_, answer) => void answer.end('{"jobs":[]}'));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  try {
    const service = `https://127.0.0.1:${port}`;
    const tokenFile = join(desk.home, ".config/testbed/lab.token");
    const contexts = { lab: { service, tokenFile }, trusting: { service, tokenFile, ca: cert } };
    await writeFile(file(), JSON.stringify({ current: "lab", contexts }));
    expect(await desk.run("jobs")).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining("certificate"),
    });
    expect((await desk.run("jobs", "--context", "trusting")).exitCode).toBe(0);
  } finally {
    server.close();
  }
});

test("tokens are made, listed and revoked over the wire by an admin, and nobody else", async () => {
  expect(await desk.run("token", "list")).toMatchObject(says("for admin"));
  await desk.role("admin");
  const to = join(desk.home, "bob.token");
  const made = await desk.json("token", "create", "bob", "--role", "submitter", "--to", to);
  expect(made).toEqual({ id: expect.stringMatching(/^[0-9a-f]{8}$/), file: to });
  const again = await desk.run("token", "create", "bob", "--role", "submitter", "--to", to);
  expect(again).toMatchObject(says("is there already"));
  const secret = await readFile(to, "utf8");
  expect(secret).toMatch(/^testbed_\S{43}\n$/);
  const ran = await desk.run("token", "create", "eve", "--role", "viewer");
  expect(ran.stdout).toMatch(/^testbed_\S{43}\n$/);
  const { tokens } = await desk.json("token", "list");
  const bobs = tokens.filter(({ name }: { name: string }) => name === "bob");
  expect(bobs).toMatchObject([{ id: made.id, role: "submitter" }]);
  expect((await desk.run("token", "revoke", made.id)).exitCode).toBe(0);
  expect((await desk.run("token", "list")).stdout).toMatch(/bob +submitter .* ago/);
  expect(await desk.run("token", "revoke", "00000000")).toMatchObject(says("there is no token"));
});
