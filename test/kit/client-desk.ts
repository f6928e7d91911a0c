import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import type { Role } from "#protocol/token.ts";
import { scratchFolder } from "./scratch.ts";
import { ScriptedHost } from "./scripted-host.ts";
import { ServiceRoom, type Told } from "./service-room.ts";
import { type Ran, type Running, startTestbed } from "./testbed.ts";

/** What the service answered, and what commands add to it. */
type Printed = Told & { readonly next: string; readonly folder: string };

/** Somebody at a terminal with a home of their own, who asks a real service through the installed command line. */
export class ClientDesk implements AsyncDisposable {
  readonly room: ServiceRoom;
  readonly home: string;
  /** What the command gets beside PATH and HOME. */
  readonly env: Record<string, string> = {};
  readonly #scope: AsyncDisposableStack;
  readonly #running = new Set<Running>();

  private constructor(room: ServiceRoom, home: string, scope: AsyncDisposableStack) {
    this.room = room;
    this.home = home;
    this.#scope = scope;
  }

  /** A desk whose context `lab` asks a service of its own as the submitter ada. */
  static async open(): Promise<ClientDesk> {
    const scope = new AsyncDisposableStack();
    const folder = scope.use(await scratchFolder());
    const room = scope.use(await ServiceRoom.open());
    const desk = new ClientDesk(room, folder.path, scope);
    await desk.context("lab", await room.token("ada", "submitter"));
    return desk;
  }

  /** The same for one test, at whose end it closes; the service may have had no bugs. */
  static async forTest(): Promise<ClientDesk> {
    const desk = await ClientDesk.open();
    onTestFinished(() => desk[Symbol.asyncDispose]());
    return desk;
  }

  /** Writes the configuration file with one context, the current one. */
  async context(name: string, token: string, service = this.room.url): Promise<void> {
    const folder = join(this.home, ".config/testbed");
    await mkdir(folder, { recursive: true });
    const tokenFile = join(folder, `${name}.token`);
    await writeFile(tokenFile, `${token}\n`, { mode: 0o600 });
    const contexts = { [name]: { service, tokenFile } };
    await writeFile(join(folder, "config.yaml"), JSON.stringify({ current: name, contexts }), {
      mode: 0o600,
    });
  }

  async role(role: Role): Promise<void> {
    await this.context("lab", await this.room.token(`some-${role}`, role));
  }

  async host(name = "lab-1"): Promise<ScriptedHost> {
    const token = await this.room.token(name, "host");
    return this.#scope.use(new ScriptedHost(name, { url: new URL(this.room.url) }, token));
  }

  /** Writes a file at home and returns its path. */
  async file(name: string, content: string | object): Promise<string> {
    const path = join(this.home, name);
    await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
    return path;
  }

  /** A job file for image micro. */
  async job(changes: object = {}): Promise<string> {
    const job = { image: "micro", steps: [{ name: "build", run: "make" }], ...changes };
    return await this.file("job.yaml", job);
  }

  start(...args: string[]): Running {
    const path = process.env["PATH"] ?? "/usr/bin:/bin";
    const env = {
      PATH: path,
      HOME: this.home,
      TESTBED_STATE: join(this.home, "state"),
      ...this.env,
    };
    const running = startTestbed(args, "", env);
    this.#running.add(running);
    void running.done.then(() => this.#running.delete(running));
    return running;
  }

  async run(...args: string[]): Promise<Ran> {
    return await this.start(...args).done;
  }

  /** Runs a command that ends well and prints JSON. */
  async json(...args: string[]): Promise<Printed> {
    const { exitCode, stdout, stderr } = await this.run(...args, "--json");
    if (exitCode !== 0) throw new Error(`${args.join(" ")}: ${exitCode} ${stdout} ${stderr}`);
    return JSON.parse(stdout) as Printed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#running) running.kill("SIGKILL");
    await this.#scope[Symbol.asyncDispose]();
    expect(this.room.bugs).toEqual([]);
  }
}
