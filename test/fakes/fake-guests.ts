import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { cp, glob, mkdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Collection, Guest, GuestPlace, StepEnd, StepOrder } from "#host/runner/guest-port.ts";
import type {
  Access,
  Guests,
  Image,
  Machine,
  OnRequirement,
  SeedOrder,
} from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import type { Input } from "#job/spec.ts";
import type { Artifact, Refusal } from "#job/verdict.ts";
import { FakeStep } from "./fake-step.ts";

const NEVER = new AbortController().signal;

type Verb = "prepare" | "connect" | "resume" | "send" | "run" | "collect" | "powerOff" | "dispose";

/** What is inside a machine, whoever is connected to it: lives until the machine ends or its guest reboots. */
class Inside {
  readonly bootId = randomUUID();
  readonly steps = new Map<number, FakeStep>();

  end(): void {
    for (const step of this.steps.values()) step.kill();
  }
}

/**
 * Guests whose steps are plain shells of this host and whose files are this host's, with a dial for faults. No SSH, no
 * reconnects, no caps. What is inside a machine is found by its name, so two daemons of one process may share this: the
 * second resumes what the first began. Keeps the contract in `test/contract/guests.contract.ts`.
 */
export class FakeGuests implements Guests {
  readonly guests: FakeGuest[] = [];
  /** What `prepare` was asked for. */
  readonly seeds: SeedOrder[] = [];
  /** What a guest that shuts down does to its machine. */
  onPowerOff: (machine: string) => void = () => undefined;
  readonly #insides = new Map<string, Inside>();
  readonly #failures = new Map<Verb, unknown>();
  readonly #hangs = new Set<Verb>();
  #daemon = new AbortController();

  /** The next call of a verb throws this. */
  failNext(verb: Verb, error: unknown): void {
    this.#failures.set(verb, error);
  }

  /** The next call of a verb ends only by its signal. */
  hangNext(verb: Verb): void {
    this.#hangs.add(verb);
  }

  /** As SIGKILL of the daemon that has all guests of now: its verbs never come back, and steps go on for the next one. */
  forsake(): void {
    this.#daemon.abort();
    this.#daemon = new AbortController();
  }

  /** The guest of a machine boots again: its steps are gone, and who resumes it finds another boot. */
  reboot(machine: string): void {
    this.#insides.get(machine)?.end();
    this.#insides.set(machine, new Inside());
  }

  /** What is inside a machine now; undefined when nobody ever connected to it, or it ended. */
  inside(machine: string): Inside | undefined {
    return this.#insides.get(machine);
  }

  async prepare(order: SeedOrder, signal: AbortSignal): Promise<Access> {
    const { folder, image } = order;
    this.seeds.push(order);
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
    const inside = this.#insides.get(machine.name) ?? new Inside();
    this.#insides.set(machine.name, inside);
    return this.#guest(machine, { address: "fe80::1%fake0", bootId: inside.bootId });
  }

  async resume(
    { machine, place }: { machine: Machine; place: GuestPlace },
    signal: AbortSignal,
  ): Promise<Guest> {
    await this.trip("resume", signal);
    return this.#guest(machine, place);
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

  #guest(machine: Machine, place: GuestPlace): Guest {
    const { name, ended } = machine;
    const onEnd = () => {
      this.#insides.get(name)?.end();
      this.#insides.delete(name);
    };
    if (ended.aborted) onEnd();
    ended.addEventListener("abort", onEnd, { once: true });
    const guest = new FakeGuest(this, machine, { place, forsaken: this.#daemon.signal });
    this.guests.push(guest);
    return guest;
  }
}

class FakeGuest implements Guest {
  readonly place: GuestPlace;
  readonly #house: FakeGuests;
  readonly #machine: Machine;
  readonly #letGo = new AbortController();
  readonly #forsaken: AbortSignal;

  constructor(
    house: FakeGuests,
    machine: Machine,
    { place, forsaken }: { place: GuestPlace; forsaken: AbortSignal },
  ) {
    this.place = place;
    this.#house = house;
    this.#machine = machine;
    this.#forsaken = forsaken;
  }

  async send(inputs: readonly Input[], onBytes: (sent: number) => void, signal: AbortSignal) {
    await this.#begin("send", signal);
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
    const { isBegun, number } = order;
    const { steps } = await this.#begin("run", isBegun ? NEVER : callerSignal);
    if (!steps.has(number)) callerSignal.throwIfAborted();
    const step = steps.get(number) ?? new FakeStep(order);
    steps.set(number, step);
    const left = AbortSignal.any([this.#letGo.signal, this.#forsaken]);
    const signal = AbortSignal.any([callerSignal, this.#machine.ended]);
    try {
      return await step.follow(order, signal, left);
    } catch (error) {
      if (this.#forsaken.aborted) await new Promise(() => undefined);
      throw error;
    }
  }

  async collect(patterns: readonly string[], folder: string, signal: AbortSignal) {
    await this.#begin("collect", signal);
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

  async powerOff(signal: AbortSignal): Promise<void> {
    await this.#begin("powerOff", signal);
    this.#house.onPowerOff(this.#machine.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#letGo.abort(new Error("the guest was let go of"));
    await this.#house.trip("dispose", new AbortController().signal);
  }

  /** What every verb does first: finds the inside of the machine in the boot that this guest knows. */
  async #begin(verb: Verb, callerSignal: AbortSignal): Promise<Inside> {
    if (this.#forsaken.aborted) await new Promise(() => undefined);
    const { ended, name } = this.#machine;
    await this.#house.trip(verb, AbortSignal.any([callerSignal, ended, this.#letGo.signal]));
    const inside = this.#house.inside(name);
    if (inside?.bootId === this.place.bootId) return inside;
    throw new Fault("guest-runner-lost", "the guest rebooted while nobody was connected");
  }
}

async function unpack(from: string, to: string): Promise<void> {
  await promisify(execFile)("tar", ["-x", "-o", "-f", from, "-C", to]).catch((cause: Error) => {
    throw new Fault("input-unreadable", `the guest refused it: ${cause.message}`, { cause });
  });
}
