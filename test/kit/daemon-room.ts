import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { DaemonParts } from "#host/daemon/daemon.ts";
import type { JobDetail } from "#protocol/job-view.ts";
import type { Grant, LeaseRequest } from "#protocol/lease.ts";
import type { SubmitRequest } from "#protocol/submit.ts";
import { eventually } from "./eventually.ts";
import { ROOT } from "./house.ts";
import { type PaperDaemon, paperDaemon } from "./paper-daemon.ts";
import { ServiceRoom } from "./service-room.ts";

type Changes = {
  readonly parts?: Partial<DaemonParts>;
  /** Of something between it and the service. */
  readonly url?: string;
  /** Name of a state folder that is not the host's usual one. */
  readonly state?: string;
  readonly dial?: (paper: PaperDaemon) => void;
};

/** A service on a real socket and daemons that work for it, on paper machines. */
export class DaemonRoom implements AsyncDisposable {
  readonly service: ServiceRoom;
  readonly #ada: string;
  readonly #hosts = new Map<string, string>();
  readonly #running: { paper: PaperDaemon; done: Promise<void> }[] = [];
  readonly #children: ReturnType<typeof spawn>[] = [];

  private constructor(service: ServiceRoom, ada: string) {
    this.service = service;
    this.#ada = ada;
  }

  static async open(): Promise<DaemonRoom> {
    const service = await ServiceRoom.open();
    return new DaemonRoom(service, await service.token("ada", "submitter"));
  }

  /** The state folder of a host. */
  stateOf(host: string): string {
    return join(this.service.folder, "hosts", host);
  }

  /** A daemon in this process, at work; `dial` turns its faults before it begins. */
  async start(host: string, { parts, url, state, dial }: Changes = {}): Promise<PaperDaemon> {
    const order = await this.#order(host);
    const place = { url: url ?? order.url, state: this.stateOf(state ?? host) };
    const paper = await paperDaemon({ ...order, ...place }, parts);
    dial?.(paper);
    this.#running.push({ paper, done: paper.run() });
    return paper;
  }

  /**
   * A daemon in a process of its own, whose machines outlive it; with a crash point it kills itself there. `through` is what stands
   * between it and the service.
   */
  async spawn(host: string, crash = "", through?: string) {
    const { state, url: direct, token } = await this.#order(host);
    const url = through ?? direct;
    const script = join(ROOT, "test/kit/run-paper-daemon.ts");
    const child = spawn(process.execPath, [script, host, state, url, token, crash], {
      stdio: ["ignore", "pipe", "inherit"],
      // One thread for files, so that a fault put into its nth call comes at the nth.
      env: { ...process.env, UV_THREADPOOL_SIZE: "1" },
    });
    this.#children.push(child);
    await once(child.stdout, "data");
    return child;
  }

  /** Takes a lease as a host whose daemon is somewhere else. */
  async lease(host: string, request: LeaseRequest): Promise<Grant> {
    const { token } = await this.#order(host);
    const answer = await this.service.ask("POST", "/v1/leases", { token, json: request });
    expect(answer.status).toBe(200);
    return answer.json as unknown as Grant;
  }

  async submit(steps: readonly string[], more: Partial<SubmitRequest["job"]> = {}, order = {}) {
    const named = steps.map((run, at) => ({ name: `step ${at + 1}`, run }));
    const job = { image: "paper", steps: named, ...more };
    const answer = await this.ask("POST", "/v1/jobs", { job, ...order });
    expect(answer.status).toBe(201);
    return answer.json.id as string;
  }

  /** Uploads an input as ada's, and returns how a job names it. */
  async input(content: Buffer, kind: "file" | "folder", to: string) {
    const sha256 = createHash("sha256").update(content).digest("hex");
    const path = `/v1/inputs/${sha256}?offset=0&total=${content.length}`;
    const put = await this.service.ask("PUT", path, { token: this.#ada, bytes: content });
    expect(put.status).toBe(204);
    return { sha256, bytes: content.length, kind, to };
  }

  async ask(method: string, path: string, json?: unknown) {
    return await this.service.ask(method, path, {
      token: this.#ada,
      ...(json === undefined ? {} : { json }),
    });
  }

  async cancel(job: string): Promise<void> {
    expect((await this.ask("POST", `/v1/jobs/${job}/cancel`, {})).status).toBe(200);
  }

  async show(job: string): Promise<JobDetail> {
    return (await this.ask("GET", `/v1/jobs/${job}`)).json as JobDetail;
  }

  /** The job once it is settled. */
  async settled(job: string): Promise<JobDetail> {
    const { json } = await this.ask("GET", `/v1/jobs/${job}/wait?seconds=25`);
    expect((json as JobDetail).state).toBe("settled");
    return json as JobDetail;
  }

  async log(job: string, name = "output"): Promise<string> {
    return (await this.ask("GET", `/v1/jobs/${job}/logs/${name}`)).text;
  }

  async events(job: string): Promise<readonly string[]> {
    const { json } = await this.ask("GET", `/v1/jobs/${job}/events`);
    return (json.events as { says: string }[]).map(({ says }) => says);
  }

  /** Waits until nothing of any attempt is left on a host: no machine, no folder. */
  async nothingLeft(host: string): Promise<void> {
    const state = this.stateOf(host);
    const folders = ["machines", "attempts", "paper-machines"].map((name) => join(state, name));
    const isEmpty = async (folder: string) => (await readdir(folder)).length === 0;
    await eventually(async () => {
      const all = await Promise.all(folders.map(isEmpty));
      return all.every((one) => one);
    }, 10_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    for (const { paper, done } of this.#running) {
      paper.stop();
      await done;
      paper[Symbol.dispose]();
      expect([...paper.hypervisor.machines.keys()]).toEqual([]);
    }
    expect(this.service.bugs).toEqual([]);
    await this.service[Symbol.asyncDispose]();
  }

  async #order(host: string) {
    const token = this.#hosts.get(host) ?? (await this.service.token(host, "host"));
    this.#hosts.set(host, token);
    return { host, state: this.stateOf(host), url: this.service.url, token };
  }
}
