import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFile, cp, glob, mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type {
  Access,
  Collection,
  Guest,
  Guests,
  Image,
  Machine,
  OnRequirement,
  StepEnd,
  StepOrder,
} from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import type { Input } from "#job/spec.ts";
import type { Artifact, Refusal } from "#job/verdict.ts";

type Verb = "prepare" | "connect" | "send" | "run" | "collect" | "dispose";

/**
 * Guests whose steps are plain shells of this host and whose files are this host's, with a dial for faults. No SSH, no
 * reconnects, no caps. Keeps the contract in `test/contract/guests.contract.ts`.
 */
export class FakeGuests implements Guests {
  readonly guests: FakeGuest[] = [];
  readonly #failures = new Map<Verb, unknown>();
  readonly #hangs = new Set<Verb>();

  /** The next call of a verb throws this. */
  failNext(verb: Verb, error: unknown): void {
    this.#failures.set(verb, error);
  }

  /** The next call of a verb ends only by its signal. */
  hangNext(verb: Verb): void {
    this.#hangs.add(verb);
  }

  async prepare(
    { folder, image }: { folder: string; image: Image },
    signal: AbortSignal,
  ): Promise<Access> {
    await this.trip("prepare", signal);
    return {
      login: image.login,
      clientKey: "fake",
      hostKey: Buffer.from("fake"),
      seedPath: join(folder, "seed.iso"),
    };
  }

  async connect(
    machine: Machine,
    _access: Access,
    _image: Image,
    onRequirement: OnRequirement,
    signal: AbortSignal,
  ): Promise<Guest> {
    for (const name of ["domain runs", "guest settled"]) {
      onRequirement(name, "waiting", 0);
      await this.trip("connect", signal);
      onRequirement(name, "met", 1);
    }
    const guest = new FakeGuest(this, machine);
    this.guests.push(guest);
    return guest;
  }

  async trip(verb: Verb, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const error = this.#failures.get(verb);
    this.#failures.delete(verb);
    if (error !== undefined) throw error;
    if (!this.#hangs.delete(verb)) return;
    await new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }
}

class FakeGuest implements Guest {
  readonly address = "fe80::1%fake0";
  readonly #house: FakeGuests;
  readonly #machine: Machine;
  readonly #steps = new Map<number, { output: Buffer; end: StepEnd }>();
  isDisposed = false;

  constructor(house: FakeGuests, machine: Machine) {
    this.#house = house;
    this.#machine = machine;
  }

  async send(inputs: readonly Input[], onBytes: (sent: number) => void, signal: AbortSignal) {
    await this.#house.trip("send", this.#signal(signal));
    let sent = 0;
    for (const { from, to, isArchive } of inputs) {
      const stats = await stat(from).catch((cause: Error) => {
        throw new Fault("input-unreadable", `${from}: ${cause.message}`, { cause });
      });
      await mkdir(isArchive ? to : dirname(to), { recursive: true });
      if (isArchive) await unpack(from, to);
      else await cp(from, to, { recursive: true });
      sent += Math.max(stats.size, 1);
      onBytes(sent);
    }
  }

  async run(order: StepOrder, callerSignal: AbortSignal): Promise<StepEnd> {
    const signal = this.#signal(callerSignal);
    await this.#house.trip("run", signal);
    const before = this.#steps.get(order.number);
    if (before !== undefined) {
      await appendFile(order.logPath, before.output);
      return before.end;
    }
    const { output, end } = await shell(order, signal);
    this.#steps.set(order.number, { output, end });
    return end;
  }

  async collect(patterns: readonly string[], folder: string, signal: AbortSignal) {
    await this.#house.trip("collect", this.#signal(signal));
    const artifacts: Artifact[] = [];
    const refused: Refusal[] = [];
    await mkdir(folder, { recursive: true });
    for (const pattern of patterns) {
      let matches = 0;
      for await (const path of glob(pattern)) {
        if (!(await stat(path)).isFile()) continue;
        matches += 1;
        const content = await readFile(path);
        const target = path.replace(/^\//, "");
        await mkdir(dirname(join(folder, target)), { recursive: true });
        await cp(path, join(folder, target));
        const sha256 = createHash("sha256").update(content).digest("hex");
        artifacts.push({ path: target, bytes: content.length, sha256 });
      }
      if (matches === 0) refused.push({ name: pattern, why: "matched nothing" });
    }
    artifacts.sort((a, b) => (a.path < b.path ? -1 : 1));
    return { artifacts, refused } satisfies Collection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true;
    await this.#house.trip("dispose", new AbortController().signal);
  }

  #signal(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#machine.ended]);
  }
}

async function unpack(from: string, to: string): Promise<void> {
  await promisify(execFile)("tar", ["-x", "-o", "-f", from, "-C", to]).catch((cause: Error) => {
    throw new Fault("input-unreadable", `the guest refused it: ${cause.message}`, { cause });
  });
}

async function shell(
  order: StepOrder,
  signal: AbortSignal,
): Promise<{ output: Buffer; end: StepEnd }> {
  const home = await mkdtemp("/tmp/testbed-fake-guest-");
  await appendFile(order.logPath, "");
  const child = spawn("sh", ["-c", `exec 2>&1; ${order.step.run}`], {
    cwd: home,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: home, ...order.env },
    stdio: ["ignore", "pipe", "ignore"],
    detached: true,
  });
  let ended: "timed-out" | "silent" | undefined;
  const kill = (why?: "timed-out" | "silent") => {
    ended ??= why;
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  };
  const limit = (seconds: number | undefined, why: "timed-out" | "silent") =>
    seconds === undefined ? undefined : setTimeout(() => kill(why), seconds * 1000);
  const timeout = limit(order.step.timeoutSeconds, "timed-out");
  const silence = limit(order.step.silenceSeconds, "silent");
  const onAbort = () => kill();
  signal.addEventListener("abort", onAbort, { once: true });
  let printed = 0;
  const kept: Buffer[] = [];
  const keep = async (piece: Buffer) => {
    kept.push(piece);
    await appendFile(order.logPath, piece);
    order.onLog?.(piece);
  };
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  for await (const piece of child.stdout as AsyncIterable<Buffer>) {
    silence?.refresh();
    const fits = piece.subarray(0, Math.max(0, order.logLimitBytes - printed));
    printed += piece.length;
    if (fits.length > 0) await keep(fits);
  }
  const code = await closed;
  clearTimeout(timeout);
  clearTimeout(silence);
  signal.removeEventListener("abort", onAbort);
  await rm(home, { recursive: true, force: true });
  const logBytes = Math.min(printed, order.logLimitBytes);
  const cutBytes = printed - logBytes;
  if (cutBytes > 0) {
    await keep(
      Buffer.from(
        `\n[testbed: log cut here after ${logBytes} bytes; the step printed ${cutBytes} more]\n`,
      ),
    );
  }
  if (signal.aborted) {
    order.onLogEnd?.({ logBytes, cutBytes });
    throw signal.reason;
  }
  const outcome = ended ?? (code === 0 ? "passed" : "failed");
  const how = code === null ? { signal: "KILL" } : { exitCode: code };
  return {
    output: Buffer.concat(kept),
    end: { outcome, ...how, logBytes, cutBytes },
  };
}
