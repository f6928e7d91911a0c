import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, glob, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LogFile } from "#host/guest/log-file.ts";
import { quote } from "#host/guest/quote.ts";
import { RUNNER_SCRIPT } from "#host/guest/runner.ts";
import { outcomeOf, readStepEnd } from "#host/guest/step-end.ts";
import type { Collection, Guest, GuestPlace, StepEnd, StepOrder } from "#host/runner/guest-port.ts";
import type { Access, Guests, Image, Machine, OnRequirement } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import type { Input } from "#job/spec.ts";
import type { Artifact, Refusal } from "#job/verdict.ts";

const BOOT = "00000000-0000-4000-8000-000000000000";

/**
 * Guests whose steps outlive the process that began them, as those of real ones do: the runner of real guests runs them on this host,
 * detached, below the machine's folder of `DurableHypervisor`. No SSH, no caps.
 */
export class DurableGuests implements Guests {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async prepare({ folder, image }: { folder: string; image: Image }): Promise<Access> {
    const seedPath = join(folder, "seed.iso");
    return { login: image.login, clientKey: "fake", hostKey: Buffer.from("fake"), seedPath };
  }

  async connect(
    machine: Machine,
    _access: Access,
    _image: Image,
    onRequirement: OnRequirement,
  ): Promise<Guest> {
    onRequirement("guest settled", "waiting", 0);
    const home = join(this.#folder, machine.name);
    await mkdir(join(home, "run"), { recursive: true });
    await writeFile(join(home, "run", "runner"), RUNNER_SCRIPT);
    onRequirement("guest settled", "met", 1);
    const [address = ""] = await machine.addresses(new AbortController().signal);
    return new DurableGuest(machine, home, { address, bootId: BOOT });
  }

  async resume({ machine, place }: { machine: Machine; place: GuestPlace }): Promise<Guest> {
    return new DurableGuest(machine, join(this.#folder, machine.name), place);
  }
}

class DurableGuest implements Guest {
  readonly place: GuestPlace;
  readonly #machine: Machine;
  readonly #home: string;

  constructor(machine: Machine, home: string, place: GuestPlace) {
    this.#machine = machine;
    this.#home = home;
    this.place = place;
  }

  async send(inputs: readonly Input[], onBytes: (sent: number) => void, signal: AbortSignal) {
    signal.throwIfAborted();
    for (const { from, to } of inputs) {
      await mkdir(dirname(to), { recursive: true });
      await cp(from, to, { recursive: true });
      onBytes((await stat(from)).size);
    }
  }

  async run(order: StepOrder, callerSignal: AbortSignal): Promise<StepEnd> {
    const signal = AbortSignal.any([callerSignal, this.#machine.ended]);
    this.#machine.ended.throwIfAborted();
    const mayBegin = !signal.aborted;
    if (!order.isBegun) signal.throwIfAborted();
    await using log = await LogFile.open(order.logPath, order.logLimitBytes);
    const stop = () => void this.#runner(["stop", String(order.number)]);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    try {
      const stderr = await this.#follow(order, log, mayBegin);
      const says = readStepEnd(stderr);
      signal.throwIfAborted();
      if (says === undefined) throw new Fault("guest-runner-lost", `the runner said: ${stderr}`);
      return { ...outcomeOf(says), logBytes: log.bytes, cutBytes: 0 };
    } catch (error) {
      order.onLogEnd?.({ logBytes: log.bytes, cutBytes: 0 });
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  async collect(patterns: readonly string[], folder: string, signal: AbortSignal) {
    signal.throwIfAborted();
    const artifacts: Artifact[] = [];
    const refused: Refusal[] = [];
    for (const pattern of patterns) {
      let matches = 0;
      for await (const from of glob(pattern)) {
        const path = from.replace(/^\//, "");
        const content = await readFile(from);
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), content);
        const sha256 = createHash("sha256").update(content).digest("hex");
        artifacts.push({ path, bytes: content.length, sha256 });
        matches += 1;
      }
      if (matches === 0) refused.push({ name: pattern, why: "matched nothing" });
    }
    return { artifacts, refused } satisfies Collection;
  }

  async powerOff(): Promise<void> {
    throw new Error("nobody shuts these guests down");
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #follow(order: StepOrder, log: LogFile, mayBegin: boolean): Promise<string> {
    const { number, step, logLimitBytes, attemptSecondsLeft } = order;
    const limit = Math.min(step.timeoutSeconds ?? Infinity, attemptSecondsLeft ?? Infinity);
    const exports = Object.entries(order.env).map(([name, value]) => {
      return `export ${name}=${quote(value)}\n`;
    });
    const run = Buffer.from(step.run);
    const silence = Math.ceil(step.silenceSeconds ?? 0);
    const timeout = Number.isFinite(limit) ? Math.ceil(limit) : 0;
    const numbers = [
      number,
      log.bytes,
      logLimitBytes,
      timeout,
      silence,
      exports.length,
      run.length,
    ];
    const child = this.#runner(["step", ...numbers.map(String)]);
    child.stdin.on("error", () => undefined);
    child.stdin.end(mayBegin ? Buffer.concat([Buffer.from(exports.join("")), run]) : "");
    let stderr = "";
    child.stderr.on("data", (piece: Buffer) => {
      stderr += piece.toString();
    });
    const closed = new Promise<void>((done) => child.once("close", () => done()));
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      const kept = await log.append(piece);
      if (kept.length > 0) order.onLog?.(kept);
    }
    await closed;
    return stderr;
  }

  #runner(words: readonly string[]) {
    const [run, logs] = [join(this.#home, "run"), join(this.#home, "logs")];
    return spawn("sh", [join(run, "runner"), logs, ...words], {
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: this.#home },
      stdio: ["pipe", "pipe", "pipe"],
    });
  }
}

/** What a machine's end does to what runs in it. */
export async function stopProcesses(home: string): Promise<void> {
  const run = join(home, "run");
  if (!existsSync(run)) return;
  for (const name of await readdir(run)) {
    if (!/^[0-9]+\.(pid|started)$/.test(name)) continue;
    const pid = Number((await readFile(join(run, name), "utf8")).trim());
    if (pid > 1) kill(-pid);
  }
}

function kill(group: number): void {
  try {
    process.kill(group, "SIGKILL");
  } catch {
    // It is over.
  }
}
