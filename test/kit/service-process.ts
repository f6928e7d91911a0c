import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { eventually } from "./eventually.ts";
import { ROOT } from "./house.ts";

/** `testbed service` as a process of its own; what is left of it is killed when its test ends. */
export type ServiceProcess = { readonly child: ChildProcess; readonly url: string };

const MAIN = join(ROOT, "src/main.ts");
const START_MS = 20_000;

/** Runs a command of the command line to its end. */
export async function testbed(...args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (child.exitCode === null) await once(child, "exit");
  return { stdout, stderr, exitCode: child.exitCode };
}

/** Starts a service on a state folder and waits until it is ready. */
export async function startService(state: string): Promise<ServiceProcess> {
  const args = [MAIN, "service", "--state", state, "--listen", "127.0.0.1:0"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  child.stderr.on("data", (piece: Buffer) => {
    said += piece.toString();
  });
  await eventually(() => said.includes("ready") || child.exitCode !== null, START_MS);
  const port = /"address":"127\.0\.0\.1:(\d+)"/.exec(said)?.[1];
  if (port === undefined) throw new Error(`the service did not start: ${said}`);
  return { child, url: `http://127.0.0.1:${port}` };
}

/** Ends a service and waits for its end. */
export async function stopService({ child }: ServiceProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

/** One request to a service. */
export async function askService(
  { url }: ServiceProcess,
  token: string,
  [method, path, body]: readonly [string, string, unknown?],
): Promise<{ readonly status: number; readonly text: string }> {
  const isText = typeof body === "string";
  const type = isText ? "application/octet-stream" : "application/json";
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": type }),
    },
    ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
  });
  return { status: answer.status, text: await answer.text() };
}
