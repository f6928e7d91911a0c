import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { PATH } from "./command.ts";
import { ROOT } from "./house.ts";
import { NotifyListener } from "./notify-listener.ts";

/** A process that runs as systemd starts one, but for the stand-in that hears its messages. Ends with its test. */
export type Supervised = {
  readonly child: ChildProcess;
  readonly listener: NotifyListener;
  /** Sends SIGTERM and waits for the end. */
  stop(): Promise<{ readonly code: number | null; readonly tookMs: number }>;
};

export type SupervisedOptions = {
  /** All of the environment but PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>;
  /** What is started with the arguments; default: the command line of this clone. */
  readonly command?: readonly string[];
};

/** Starts `testbed` so, in a folder that holds the stand-in's socket. */
export async function startSupervised(
  folder: string,
  args: readonly string[],
  { env = {}, command = [process.execPath, join(ROOT, "src/main.ts")] }: SupervisedOptions = {},
): Promise<Supervised> {
  const [program = "", ...before] = command;
  const socket = join(folder, "notify");
  const listener = await NotifyListener.open(socket);
  onTestFinished(async () => await listener[Symbol.asyncDispose]());
  const child = spawn(program, [...before, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH, HOME: folder, NOTIFY_SOCKET: socket, ...env },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return { child, listener, stop: () => stop(child) };
}

async function stop(child: ChildProcess) {
  const begunMs = performance.now();
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const [code] = (await ended) as [number | null];
  return { code, tookMs: performance.now() - begunMs };
}
