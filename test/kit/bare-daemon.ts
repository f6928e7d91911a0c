import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PATH } from "./command.ts";
import { ROOT } from "./house.ts";

/** A daemon in a process of its own that has no libvirt, with a service inside. SIGKILL ends it when it is disposed. */
export type BareDaemon = AsyncDisposable & {
  /** All that it has said. */
  said(): string;
  readonly socket: string;
};

/** Starts one on a state folder, and waits for nothing. `env` is added to its environment. */
export async function startBareDaemon(
  state: string,
  env: Readonly<Record<string, string>> = {},
): Promise<BareDaemon> {
  const config = join(state, "daemon.yaml");
  await writeFile(config, `host: lab-1\nstate: ${state}\n`);
  const args = [join(ROOT, "src/main.ts"), "daemon", "--config", config];
  const libvirt = "qemu:///system?socket=/nowhere/libvirt";
  const child = spawn(process.execPath, args, {
    env: { PATH, HOME: "/root", TESTBED_LIBVIRT: libvirt, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (piece: Buffer) => {
      said += piece.toString();
    });
  const ended = once(child, "exit");
  return {
    said: () => said,
    socket: join(state, "daemon.sock"),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
