import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { JobDetail } from "#protocol/job-view.ts";
import { ServiceClient } from "#protocol/service-client.ts";
import { eventually } from "./eventually.ts";
import { TEST_STATE } from "./house.ts";
import { expectNothingLeft } from "./leftovers.ts";
import { type Ran, type Running, startTestbed, testEnvironment } from "./testbed.ts";

const START_MS = 60_000;

/** What the service is called among a lab's processes. */
export const SERVICE = "service";

export type LabOptions = {
  /** libvirt to use; default: the system's. */
  readonly libvirt?: string;
  /** The socket where hosts find the service, when something stands before its own. */
  readonly service?: string;
  /** Length of leases; default: the service's. */
  readonly lease?: string;
  /** Marks of the daemons' disk; default: theirs. */
  readonly diskReserve?: string;
  readonly diskLow?: string;
  /** More environment of daemons. */
  readonly env?: Readonly<Record<string, string>>;
  /** More keys of the hosts' configuration. */
  readonly hostConfig?: Readonly<Record<string, unknown>>;
};

type Party = {
  readonly args: readonly string[];
  /** Undefined once it is over. */
  running: Running | undefined;
  readonly said: () => string;
};

/**
 * A lab of the installed command line's processes: a job service and hosts, or a host with a service inside, all on this machine and
 * on its one libvirt. The hosts' state folders are the same each time, so that their networks are, and share the tests' images.
 */
export class Lab implements AsyncDisposable {
  readonly folder: string;
  readonly #env: Record<string, string> = {};
  /** By host's name, and `service`, in the order in which they were first started. */
  readonly #parties = new Map<string, Party>();
  readonly #states: string[] = [];
  readonly #service: string;
  readonly #options: LabOptions;
  #desk: ServiceClient | undefined;

  private constructor(folder: string, service: string, options: LabOptions) {
    this.folder = folder;
    this.#service = service;
    this.#options = options;
  }

  /** A service of its own and one host for each name, with `slots` machines at once. */
  static async open(
    folder: string,
    hosts: readonly string[],
    slots: number,
    options: LabOptions = {},
  ): Promise<Lab> {
    const lab = new Lab(folder, join(folder, "jobs"), options);
    const socket = Lab.socketIn(folder);
    const { lease, service = socket } = options;
    const config = join(folder, "service.yaml");
    const listens = { state: lab.#service, listen: [`unix:${socket}`] };
    await writeFile(config, JSON.stringify(lease === undefined ? listens : { ...listens, lease }));
    await lab.#stayed(SERVICE, ["service", "--config", config]);
    for (const host of hosts) await lab.host(host, { slots, service: `unix:${service}` });
    await lab.#enter();
    return lab;
  }

  /** One host with a service inside. */
  static async embedded(
    folder: string,
    host: string,
    slots: number,
    options: Pick<LabOptions, "hostConfig"> = {},
  ): Promise<Lab> {
    const lab = new Lab(folder, join(stateOf(host), "service"), options);
    await lab.host(host, { slots, service: "embedded" });
    await lab.#enter();
    return lab;
  }

  /** Starts a daemon, with the umask that units have. */
  async host(
    name: string,
    { slots, service }: { slots: number; service: string },
  ): Promise<Running> {
    const state = stateOf(name);
    if (!this.#states.includes(state)) {
      this.#states.push(state);
      await freshState(state);
    }
    const config = this.configOf(name);
    const isEmbedded = service === "embedded";
    const token = join(this.folder, `${name}.token`);
    if (!isEmbedded) await this.#token(name, "host", token);
    const own = join(this.folder, `${name}-service.yaml`);
    const { diskReserve, diskLow } = this.#options;
    const disk = diskReserve === undefined ? {} : { diskReserve, diskLow };
    await writeFile(own, `state: ${this.#service}\nlisten: []\n`);
    await writeFile(
      config,
      JSON.stringify({
        host: name,
        state,
        service,
        ...(isEmbedded ? { serviceConfig: own } : { token }),
        capacity: { slots, cpus: 16, load: 1000, ...disk },
        machines: {
          acceleration: "tcg",
          emulation: "allowed",
          ...(this.#options.libvirt === undefined ? {} : { libvirt: this.#options.libvirt }),
        },
        ...this.#options.hostConfig,
      }),
    );
    return await this.#stayed(name, ["daemon", "--config", config]);
  }

  /** The service, asked directly and not through the command line. */
  get desk(): ServiceClient {
    if (this.#desk === undefined) throw new Error("the lab is not open");
    return this.#desk;
  }

  /** The hosts' names. */
  get hosts(): readonly string[] {
    return [...this.#parties.keys()].filter((who) => who !== SERVICE);
  }

  /** The configuration file of a host. */
  configOf(host: string): string {
    return join(this.folder, `${host}.yaml`);
  }

  /** Where the service of a lab in this folder listens for hosts. */
  static socketIn(folder: string): string {
    return join(folder, "s");
  }

  /** The processes that run, by host's name, and the service's. */
  get running(): ReadonlyMap<string, Running> {
    const all = [...this.#parties].flatMap(([who, { running }]) =>
      running === undefined ? [] : ([[who, running]] as const),
    );
    return new Map(all);
  }

  /** Everything that its processes said so far, those that are over too. */
  get said(): string {
    return [...this.#parties.values()].map(({ said }) => said()).join("\n");
  }

  /** Ends a host's daemon, or the service, and waits for it. */
  async end(who: string, signal: NodeJS.Signals = "SIGKILL"): Promise<Ran> {
    const running = this.running.get(who);
    if (running === undefined) throw new Error(`${who} does not run`);
    running.kill(signal);
    return await running.done;
  }

  /** Starts again what was ended, with the arguments that it had, and waits until it is ready. */
  async begin(who: string): Promise<Running> {
    this.launch(who);
    return await this.ready(who);
  }

  /** Runs a command to its end as a submitter of this lab. */
  async testbed(...args: readonly string[]): Promise<Ran> {
    return await this.start(...args).done;
  }

  start(...args: readonly string[]): Running {
    return startTestbed(args, "", { ...testEnvironment(), ...this.#env });
  }

  /** Submits a job and returns its id. */
  async submit(
    name: string,
    job: Readonly<Record<string, unknown>>,
    more: readonly string[] = [],
  ): Promise<string> {
    const file = join(this.folder, `${name}.yaml`);
    await writeFile(file, JSON.stringify({ image: "micro", timeout: "10m", ...job }));
    const { exitCode, stdout, stderr } = await this.testbed("submit", file, ...more);
    expect(exitCode, stderr).toBe(0);
    return stdout.trim();
  }

  async show(job: string): Promise<JobDetail> {
    const { stdout, stderr } = await this.testbed("job", job, "--json");
    expect(stdout, stderr).not.toBe("");
    return JSON.parse(stdout) as JobDetail;
  }

  /** The job once it is over. */
  async settled(job: string): Promise<JobDetail> {
    let detail = await this.show(job);
    await eventually(async () => {
      detail = await this.show(job);
      return detail.state === "settled";
    }, 240_000);
    return detail;
  }

  /** Ends all processes with SIGTERM; nothing of the hosts' machines and attempts may be left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#desk?.[Symbol.dispose]();
    for (const [who, running] of [...this.running].reverse()) {
      running.kill("SIGCONT");
      const { exitCode } = await this.end(who, "SIGTERM");
      expect(exitCode, running.output()).toBe(0);
    }
    for (const state of this.#states) {
      await expectNothingLeft(state, this.#options.libvirt);
      expect(await openAttempts(state)).toEqual([]);
    }
  }

  async #enter(): Promise<void> {
    const token = join(this.folder, "ada.token");
    await this.#token("ada", "admin", token);
    this.#env["TESTBED_SERVICE"] = `unix:${join(this.#service, "service.sock")}`;
    this.#env["TESTBED_TOKEN_FILE"] = token;
    const socketPath = join(this.#service, "service.sock");
    const target = { url: new URL("http://service"), socketPath };
    this.#desk = new ServiceClient(target, (await readFile(token, "utf8")).trim());
  }

  async #token(name: string, role: string, path: string): Promise<void> {
    const args = ["token", "create", name, "--role", role, "--state", this.#service];
    const { stdout, stderr } = await startTestbed(args).done;
    expect(stdout, stderr).toMatch(/^testbed_/);
    await writeFile(path, stdout, { mode: 0o600 });
  }

  /** Starts again what was ended, and does not wait for it. */
  launch(who: string): void {
    const party = this.#parties.get(who);
    if (party === undefined) throw new Error(`nobody is called ${who}`);
    this.#launch(who, party.args);
  }

  /** Waits until somebody who was launched is ready. */
  async ready(who: string): Promise<Running> {
    const party = this.#parties.get(who);
    const isOver = () => party?.running === undefined;
    const isReady = () => party?.running?.output().includes('"msg":"ready"') === true;
    await eventually(() => isOver() || isReady(), START_MS);
    return party?.running ?? expect.fail(`${who} ended: ${party?.said()}`);
  }

  async #stayed(who: string, args: readonly string[]): Promise<Running> {
    this.#launch(who, args);
    return await this.ready(who);
  }

  #launch(who: string, args: readonly string[]): void {
    const before = this.#parties.get(who)?.said() ?? "";
    const env = { ...testEnvironment(), ...this.#options.env };
    const running = startTestbed(args, "", env);
    const party: Party = { args, running, said: () => before + running.output() };
    this.#parties.set(who, party);
    void running.done.then(() => {
      party.running = undefined;
    });
  }
}

/** The state folder of a lab's host: the same each time. */
export function stateOf(host: string): string {
  return `${TEST_STATE}-${host}`;
}

async function freshState(state: string): Promise<void> {
  await mkdir(join(TEST_STATE, "images"), { recursive: true });
  await mkdir(state, { recursive: true });
  // A lab that failed may have left attempts, which nobody can be told of any more.
  for (const name of ["service", "images", "attempts"])
    await rm(join(state, name), { recursive: true, force: true });
  await symlink(join(TEST_STATE, "images"), join(state, "images"));
}

/** The attempts of which something is still to be said. What was set aside is evidence that nobody asked for. */
export async function openAttempts(state: string): Promise<readonly string[]> {
  const names = await readdir(join(state, "attempts"));
  return names.filter((name) => !existsSync(join(state, "attempts", name, "set-aside.txt")));
}
