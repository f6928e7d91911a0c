import { mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { JobDetail } from "#protocol/job-view.ts";
import { eventually } from "./eventually.ts";
import { TEST_STATE } from "./house.ts";
import { expectNothingLeft } from "./leftovers.ts";
import { type Ran, type Running, startTestbed, testEnvironment } from "./testbed.ts";

const START_MS = 60_000;

/**
 * A lab of the installed command line's processes: a job service and hosts, or a host with a service inside, all on this machine and
 * on its one libvirt. The hosts' state folders are the same each time, so that their networks are, and share the tests' images.
 */
export class Lab implements AsyncDisposable {
  readonly folder: string;
  readonly #env: Record<string, string> = {};
  readonly #processes: Running[] = [];
  readonly #states: string[] = [];
  readonly #service: string;

  private constructor(folder: string, service: string) {
    this.folder = folder;
    this.#service = service;
  }

  /** A service of its own and one host for each name, with `slots` machines at once. */
  static async open(folder: string, hosts: readonly string[], slots: number): Promise<Lab> {
    const lab = new Lab(folder, join(folder, "jobs"));
    await lab.#stayed(["service", "--state", lab.#service, "--listen", `unix:${folder}/s`]);
    for (const host of hosts) await lab.host(host, { slots, service: `unix:${folder}/s` });
    await lab.#enter();
    return lab;
  }

  /** One host with a service inside. */
  static async embedded(folder: string, host: string, slots: number): Promise<Lab> {
    const lab = new Lab(folder, join(stateOf(host), "service"));
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
    const config = join(this.folder, `${name}.yaml`);
    const isEmbedded = service === "embedded";
    const token = join(this.folder, `${name}.token`);
    if (!isEmbedded) await this.#token(name, "host", token);
    const own = join(this.folder, `${name}-service.yaml`);
    await writeFile(own, `state: ${this.#service}\nlisten: []\n`);
    await writeFile(
      config,
      JSON.stringify({
        host: name,
        state,
        service,
        ...(isEmbedded ? { serviceConfig: own } : { token }),
        capacity: { slots, cpus: 16, load: 1000 },
        machines: { acceleration: "tcg", emulation: "allowed" },
      }),
    );
    return await this.#stayed(["daemon", "--config", config]);
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
    for (const running of this.#processes.reverse()) {
      running.kill("SIGTERM");
      const { exitCode } = await running.done;
      expect(exitCode, running.output()).toBe(0);
    }
    for (const state of this.#states) {
      await expectNothingLeft(state);
      expect(await readdir(join(state, "attempts"))).toEqual([]);
    }
  }

  async #enter(): Promise<void> {
    const token = join(this.folder, "ada.token");
    await this.#token("ada", "admin", token);
    this.#env["TESTBED_SERVICE"] = `unix:${join(this.#service, "service.sock")}`;
    this.#env["TESTBED_TOKEN_FILE"] = token;
  }

  async #token(name: string, role: string, path: string): Promise<void> {
    const args = ["token", "create", name, "--role", role, "--state", this.#service];
    const { stdout, stderr } = await startTestbed(args).done;
    expect(stdout, stderr).toMatch(/^testbed_/);
    await writeFile(path, stdout, { mode: 0o600 });
  }

  async #stayed(args: readonly string[]): Promise<Running> {
    const running = startTestbed(args);
    this.#processes.push(running);
    let isOver = false;
    void running.done.then(() => {
      isOver = true;
    });
    await eventually(() => isOver || running.output().includes('"msg":"ready"'), START_MS);
    expect(isOver, running.output()).toBe(false);
    return running;
  }
}

function stateOf(host: string): string {
  return `${TEST_STATE}-${host}`;
}

async function freshState(state: string): Promise<void> {
  await mkdir(join(TEST_STATE, "images"), { recursive: true });
  await mkdir(state, { recursive: true });
  await rm(join(state, "service"), { recursive: true, force: true });
  await rm(join(state, "images"), { recursive: true, force: true });
  await symlink(join(TEST_STATE, "images"), join(state, "images"));
}
