import type { Collection, Guest, GuestPlace, StepEnd, StepOrder } from "#host/runner/guest-port.ts";
import type {
  Access,
  Guests,
  Image,
  Machine,
  OnRequirement,
  SeedOrder,
} from "#host/runner/ports.ts";
import type { Input } from "#job/spec.ts";
import { collectFiles } from "./collect.ts";
import { connectGuest } from "./connect.ts";
import { FileThread } from "./file-thread.ts";
import { GuestLink } from "./guest-link.ts";
import { GUEST_DEFAULTS, type GuestOptions } from "./guest-options.ts";
import { makeKeyPair } from "./keys.ts";
import { powerOff } from "./power-off.ts";
import { runStep } from "./run-step.ts";
import { writeSeed } from "./seed.ts";
import { sendInputs } from "./send.ts";

/** Guests over SSH. */
export class SshGuests implements Guests {
  readonly #options: GuestOptions;
  readonly #thread = new FileThread();

  constructor(options: Partial<GuestOptions> = {}) {
    this.#options = { ...GUEST_DEFAULTS, ...options };
  }

  async prepare(order: SeedOrder, signal: AbortSignal): Promise<Access> {
    signal.throwIfAborted();
    const client = makeKeyPair();
    const host = makeKeyPair();
    const { login, seed } = order.image;
    const seedPath = await writeSeed(
      order.folder,
      {
        kind: seed,
        name: order.name,
        login,
        clientPublicKey: client.publicKey,
        hostPrivateKey: host.privateKey,
        hostPublicKey: host.publicKey,
        curfewSeconds: order.curfewSeconds,
      },
      signal,
    );
    return { login, clientKey: client.privateKey, hostKey: host.wire, seedPath };
  }

  async connect(
    machine: Machine,
    access: Access,
    image: Image,
    onRequirement: OnRequirement,
    signal: AbortSignal,
  ): Promise<Guest> {
    const order = { machine, access, image, onRequirement, options: this.#options };
    this.#thread.warm();
    return new SshGuest(await connectGuest(order, signal), this.#thread);
  }

  async resume(
    order: { machine: Machine; access: Access; place: GuestPlace },
    signal: AbortSignal,
  ): Promise<Guest> {
    signal.throwIfAborted();
    const { machine, access, place } = order;
    const found = { machine, place, credentials: access, connection: undefined };
    return new SshGuest(new GuestLink({ ...found, options: this.#options }), this.#thread);
  }
}

class SshGuest implements Guest {
  readonly #link: GuestLink;
  readonly #thread: FileThread;

  constructor(link: GuestLink, thread: FileThread) {
    this.#link = link;
    this.#thread = thread;
  }

  get place(): GuestPlace {
    return this.#link.place;
  }

  async send(
    inputs: readonly Input[],
    onBytes: (sent: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await sendInputs(this.#link, { inputs, onBytes, thread: this.#thread }, signal);
  }

  async run(order: StepOrder, signal: AbortSignal): Promise<StepEnd> {
    return await runStep(this.#link, order, signal);
  }

  async collect(
    patterns: readonly string[],
    folder: string,
    signal: AbortSignal,
  ): Promise<Collection> {
    return await collectFiles(this.#link, { patterns, folder, thread: this.#thread }, signal);
  }

  async powerOff(signal: AbortSignal): Promise<void> {
    await powerOff(this.#link, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#link[Symbol.dispose]();
  }
}
