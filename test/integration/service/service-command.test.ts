import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { get } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT } from "#test/kit/house.ts";
import { asking, DIGEST, job, renewal } from "#test/kit/lease-messages.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const MAIN = join(ROOT, "src/main.ts");
const START_MS = 20_000;

let state: string;

beforeEach(async () => {
  const folder = await scratchFolder();
  onTestFinished(async () => await folder[Symbol.asyncDispose]());
  state = join(folder.path, "jobs");
});

async function testbed(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (child.exitCode === null) await once(child, "exit");
  return { stdout, stderr, exitCode: child.exitCode };
}

type Service = { readonly child: ChildProcess; readonly url: string; readonly said: () => string };

async function start(...more: string[]): Promise<Service> {
  const args = [MAIN, "service", "--state", state, "--listen", "127.0.0.1:0", ...more];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  child.stderr.on("data", (piece: Buffer) => {
    said += piece.toString();
  });
  await eventually(() => said.includes('"msg":"ready"') || child.exitCode !== null, START_MS);
  const port = /"address":"127\.0\.0\.1:(\d+)"/.exec(said)?.[1] ?? "";
  return { child, url: `http://127.0.0.1:${port}`, said: () => said };
}

async function stop({ child }: Service, signal: NodeJS.Signals): Promise<number | null> {
  const ended = once(child, "exit");
  child.kill(signal);
  const [code] = (await ended) as [number | null];
  return code;
}

async function ask(url: string, token: string, [method, path, body]: [string, string, unknown?]) {
  const isText = typeof body === "string";
  const type = isText ? "application/octet-stream" : "application/json";
  return fetch(`${url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": type }),
    },
    ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
  });
}

async function tokenOf(name: string, role: string): Promise<string> {
  const made = await testbed("token", "create", name, "--role", role, "--state", state);
  expect(made).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^testbed_\S{43}\n$/) });
  expect(made.stderr).not.toContain(made.stdout.trim());
  return made.stdout.trim();
}

test("what was acknowledged is there after kill -9: job, lease, log, upload, tokens", async () => {
  const first = await start();
  const ada = await tokenOf("ada", "submitter");
  const lab = await tokenOf("lab-1", "host");
  const { id } = (await (
    await ask(first.url, ada, ["POST", "/v1/jobs", { job: job() }])
  ).json()) as {
    id: string;
  };
  const { lease } = (await (
    await ask(first.url, lab, ["POST", "/v1/leases", asking("lab-1")])
  ).json()) as {
    lease: string;
  };
  const log = `/v1/leases/${lease}/logs/output`;
  expect((await ask(first.url, lab, ["PUT", `${log}?offset=0`, "before "])).status).toBe(204);
  const upload = `/v1/inputs/${DIGEST}`;
  expect((await ask(first.url, ada, ["PUT", `${upload}?offset=0&total=9`, "half"])).status).toBe(
    204,
  );
  await stop(first, "SIGKILL");

  const second = await start();
  const renewed = await ask(second.url, lab, [
    "POST",
    `/v1/leases/${lease}/renew`,
    renewal("running"),
  ]);
  expect(renewed.status).toBe(200);
  const have = await ask(second.url, ada, ["HEAD", upload]);
  expect(have.headers.get("testbed-have-bytes")).toBe("4");
  expect((await ask(second.url, lab, ["PUT", `${log}?offset=7`, "and after"])).status).toBe(204);
  const got = await ask(second.url, ada, ["GET", `/v1/jobs/${id}/logs/output`]);
  expect(await got.text()).toBe("before and after");
  const beganMs = performance.now();
  const waiting = ask(second.url, ada, ["GET", `/v1/jobs/${id}/wait?seconds=60`]);
  await ask(second.url, ada, ["GET", `/v1/jobs/${id}`]);
  expect(await stop(second, "SIGTERM")).toBe(0);
  expect(performance.now() - beganMs).toBeLessThan(10_000);
  expect((await waiting).status).toBe(200);
});

test("tokens are made, listed and revoked whether the service runs or not", async () => {
  const service = await start();
  const ada = await tokenOf("ada", "submitter");
  expect((await ask(service.url, ada, ["GET", "/v1/jobs"])).status).toBe(200);
  const listed = await testbed("token", "list", "--state", state, "--json");
  const { tokens } = JSON.parse(listed.stdout) as { tokens: [{ id: string; name: string }] };
  const [{ id, name }] = tokens;
  expect(name).toBe("ada");
  await testbed("token", "revoke", id, "--state", state);
  expect((await ask(service.url, ada, ["GET", "/v1/jobs"])).status).toBe(401);
  await eventually(() => service.said().includes('"problem":"unauthenticated"'), 5_000);
  expect(service.said()).not.toContain(ada);
  await stop(service, "SIGTERM");
  await tokenOf("root", "admin");
  const table = await testbed("token", "list", "--state", state);
  expect(table.stdout).toMatch(/ada +submitter/);
  expect(table.stdout).toMatch(/root +admin/);
  const none = await testbed("token", "revoke", "00000000", "--state", state);
  expect(none).toMatchObject({ exitCode: 2, stderr: "there is no token 00000000\n" });
});

test.each([
  [["--listen", "0.0.0.0:0"], "beyond this machine"],
  [["--listen", "localhost:1"], "must be unix:/PATH"],
  [["--tls-cert", "/nowhere"], "go together"],
  [["--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "no such file"],
])("%j is refused before anything is opened", async (more, says) => {
  const answer = await testbed("service", "--state", state, ...more);
  expect(answer).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(says) });
});

test("with a certificate, TCP speaks TLS 1.2 or newer", async () => {
  const folder = await scratchFolder();
  onTestFinished(async () => await folder[Symbol.asyncDispose]());
  const [cert, key] = [join(folder.path, "cert.pem"), join(folder.path, "key.pem")];
  const made = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
  ];
  const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
  await promisify(execFile)("openssl", [...made, ...name, "-keyout", key, "-out", cert]);
  const { url } = await start("--tls-cert", cert, "--tls-key", key);
  const { port } = new URL(url);
  const ca = await readFile(cert);
  const reach = (more: object) =>
    new Promise<string>((resolve, reject) => {
      const options = { host: "127.0.0.1", port, path: "/healthz", ca, agent: false, ...more };
      get(options, (answer) => resolve(text(answer))).on("error", reject);
    });
  expect(await reach({})).toBe("alive\n");
  await expect(reach({ maxVersion: "TLSv1.1", minVersion: "TLSv1" })).rejects.toThrow();
});

test("a second service on the same folder is refused", async () => {
  await start();
  const second = await testbed("service", "--state", state, "--listen", "127.0.0.1:0");
  expect(second.exitCode).toBe(2);
  expect(second.stderr).toContain("open");
});

test("a token of no known role, and a folder that is not there, are mistakes", async () => {
  const role = await testbed("token", "create", "ada", "--role", "god", "--state", state);
  expect(role).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("must be admin or") });
  const folder = await testbed("token", "list", "--state", join(state, "none"));
  expect(folder).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--state") });
  await mkdir(state);
  const empty = await testbed("token", "list", "--state", state);
  expect(empty).toMatchObject({ exitCode: 0, stdout: "There are no tokens.\n" });
});

test("the configuration file holds, and options win over it", async () => {
  const folder = await scratchFolder();
  onTestFinished(async () => await folder[Symbol.asyncDispose]());
  const file = join(folder.path, "service.yaml");
  await writeFile(file, `state: ${state}-not\nlisten: [ "[::1]:0" ]\nlimits: { content: 1MiB }\n`);
  const service = await start("--config", file);
  expect(service.said()).not.toContain("[::1]");
  const ada = await tokenOf("ada", "submitter");
  const upload = `/v1/inputs/${DIGEST}?offset=0&total=${2 ** 20 + 1}`;
  expect((await ask(service.url, ada, ["PUT", upload, "x"])).status).toBe(413);
  await stop(service, "SIGTERM");
  await writeFile(file, `lisen: []\nlisten: [ "0.0.0.0:0" ]\n`);
  const wrong = await testbed("service", "--config", file);
  expect(wrong).toMatchObject({ exitCode: 2, stdout: "" });
  expect(wrong.stderr).toContain(`${file}:1:1: lisen: unknown key; did you mean 'listen'?`);
  await writeFile(file, `listen: [ "0.0.0.0:0" ]\n`);
  const open = await testbed("service", "--config", file);
  expect(open.stderr).toContain(`${file}:1:11: listen.0: is '0.0.0.0:0', beyond this machine`);
  const flag = await testbed("service", "--config", file, "--listen", "1.2.3.4:x");
  expect(flag.stderr).toContain("--listen: is '1.2.3.4:x'; must be");
});

test("a key that others may read is refused", async () => {
  const folder = await scratchFolder();
  onTestFinished(async () => await folder[Symbol.asyncDispose]());
  const key = join(folder.path, "key.pem");
  await writeFile(key, "secret", { mode: 0o644 });
  const answer = await testbed("service", "--state", state, "--tls-cert", key, "--tls-key", key);
  expect(answer).toMatchObject({ exitCode: 2 });
  expect(answer.stderr).toMatch(
    /^tls\.key: .*key\.pem: may be read or changed by others \(mode 0644\)/,
  );
});

test("check-config prints what holds, or everything that is wrong", async () => {
  const right = await testbed("check-config", "service", join(ROOT, "config/service.yaml"));
  expect(right).toMatchObject({ exitCode: 0, stderr: "" });
  expect(right.stdout).toContain("lease: 5m\n");
  expect(right.stdout).toContain("  content: 64GiB\n");
  const json = await testbed("check-config", "service", "/dev/null", "--json");
  expect(json).toMatchObject({ exitCode: 2 });
  expect(JSON.parse(json.stdout)).toMatchObject({
    error: { exitCode: 2, problems: [{ says: "is not a regular file" }] },
  });
});
