import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { compileSchema } from "#lib/validate.ts";
import type { HostView } from "#protocol/host-view.ts";
import type { JobDetail, JobEvent, JobSummary } from "#protocol/job-view.ts";
import { PROBLEMS, problemSchema } from "#protocol/problem.ts";
import { EVERYWHERE, type Route } from "#protocol/route.ts";
import { ROUTES } from "#protocol/routes.ts";
import type { Role, TokenView } from "#protocol/token.ts";
import type { WireArtifact } from "#protocol/verdict.ts";
import type { Limits } from "#service/api/limits.ts";
import { newSecret, newToken } from "#service/api/new-token.ts";
import { ServiceApi } from "#service/api/service-api.ts";
import { ContentFiles } from "#service/files/content-files.ts";
import { FileShelves } from "#service/files/file-shelves.ts";
import { Footprint } from "#service/files/footprint.ts";
import { LogFiles } from "#service/files/log-files.ts";
import type { Store } from "#service/ports.ts";
import { SqliteStore } from "#service/store/sqlite-store.ts";
import { RETENTION, type Retention } from "#service/upkeep/retention.ts";
import { Upkeep } from "#service/upkeep/upkeep.ts";
import { FakeClock } from "./fake-clock.ts";
import { scratchFolder } from "./scratch.ts";

/** Length of a lease in a room. */
export const LEASE_SECONDS = 100;

/** What a request is made of; `json` and `bytes` are bodies. */
export type Request = {
  readonly token?: string;
  readonly json?: unknown;
  readonly bytes?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
};

/** What came back. */
export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Told;
};

/**
 * What answers tell, as far as tests look into them: some of it in each answer, and nothing where there is no JSON. That an
 * answer fits its schema is checked.
 */
export type Told = JobDetail & {
  readonly type: string;
  readonly missing: string[];
  readonly violations: readonly { readonly path: string }[];
  readonly lease: string;
  readonly jobs: JobSummary[];
  readonly events: JobEvent[];
  readonly artifacts: WireArtifact[];
  readonly hosts: HostView[];
  readonly tokens: TokenView[];
};

/** The whole service on a real socket, over SQLite and files in a folder of its own, on a clock that the test moves. */
export class ServiceRoom implements AsyncDisposable {
  readonly folder: string;
  readonly clock = new FakeClock();
  readonly localSecret = newSecret();
  readonly bugs: unknown[] = [];
  /** What was refused so that an operator would hear of it. */
  readonly refused: string[] = [];
  hasSpace = true;
  /** False while somebody else holds what must be held to remove anything. */
  mayRemove = true;
  retention: Retention = RETENTION;
  url = "";
  readonly #limits: Partial<Limits>;
  readonly #clean: () => Promise<void>;
  #open:
    | {
        readonly store: Store;
        readonly logs: LogFiles;
        readonly api: ServiceApi;
        readonly upkeep: Upkeep;
      }
    | undefined;

  private constructor(folder: string, limits: Partial<Limits>, clean: () => Promise<void>) {
    this.folder = folder;
    this.#limits = limits;
    this.#clean = clean;
  }

  static async open(limits: Partial<Limits> = {}): Promise<ServiceRoom> {
    const folder = await scratchFolder();
    const room = new ServiceRoom(
      folder.path,
      limits,
      async () => await folder[Symbol.asyncDispose](),
    );
    await room.start();
    return room;
  }

  get store(): Store {
    if (this.#open === undefined) throw new Error("the room is closed");
    return this.#open.store;
  }

  get upkeep(): Upkeep {
    if (this.#open === undefined) throw new Error("the room is closed");
    return this.#open.upkeep;
  }

  get socket(): string {
    return join(this.folder, "service.sock");
  }

  /** Begins again where it was stopped, at the address that it had. */
  async restart(): Promise<void> {
    await this.start(Number(new URL(this.url).port));
  }

  /** Listens on a port of its own, or again on one that it had. */
  async start(port = 0): Promise<void> {
    const { folder, clock, localSecret } = this;
    const path = join(folder, "jobs.sqlite");
    const store = await SqliteStore.open({ path, clock, leaseSeconds: LEASE_SECONDS });
    const footprint = new Footprint();
    const logs = new LogFiles(folder, footprint);
    const contents = new ContentFiles(folder, footprint);
    const upkeep = new Upkeep({
      store,
      contents,
      shelves: new FileShelves(folder, footprint),
      clock,
      retention: this.retention,
      mayRemove: () => (this.mayRemove ? { [Symbol.dispose]: () => undefined } : undefined),
    });
    const api = await ServiceApi.open({
      store,
      logs,
      contents,
      upkeep,
      space: { hasRoom: async () => this.hasSpace },
      version: "0.1.0",
      localSecret,
      limits: this.#limits,
      remarks: {
        onBug: (error) => this.bugs.push(error),
        onRefused: ({ operation, problem }) => this.refused.push(`${operation}: ${problem}`),
      },
    });
    this.#open = { store, logs, api, upkeep };
    await api.listen({ kind: "unix", path: this.socket });
    const taken = await api.listen({ kind: "tcp", host: "127.0.0.1", port });
    this.url = `http://127.0.0.1:${taken.kind === "tcp" ? taken.port : 0}`;
  }

  /** Listens on one more address. */
  async listen(...where: Parameters<ServiceApi["listen"]>): Promise<void> {
    await this.#open?.api.listen(...where);
  }

  async stop(): Promise<void> {
    await this.#open?.api[Symbol.asyncDispose]();
    await this.#open?.logs[Symbol.asyncDispose]();
    await this.#open?.store[Symbol.asyncDispose]();
    this.#open = undefined;
  }

  async token(name: string, role: Role): Promise<string> {
    const made = await newToken(this.store, { name, role });
    if (made.wrong !== undefined) throw new Error(made.wrong);
    return made.secret;
  }

  /** One request, by `fetch`; its answer is checked against what the table of routes promises. */
  async ask(method: string, path: string, request: Request = {}): Promise<Answer> {
    const answer = await this.fetch(method, path, request);
    const text = await answer.text();
    const type = answer.headers.get("content-type") ?? "";
    const isJson = /json/.test(type) && text !== "";
    const json = (isJson ? JSON.parse(text) : undefined) as Told;
    const got = { status: answer.status, headers: answer.headers, text, json };
    checkPromise(method, path, got);
    return got;
  }

  /** The answer itself, for those who read it as a stream. */
  fetch(method: string, path: string, request: Request = {}): Promise<Response> {
    const { token, json, bytes, headers, signal } = request;
    const body = json === undefined ? bytes : JSON.stringify(json);
    const type = json === undefined ? "application/octet-stream" : "application/json";
    return fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": type }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: body as string }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Everything that the service knows and keeps, to be compared. */
  async everything(): Promise<unknown> {
    const { jobs } = await this.store.list({ limit: 500 });
    const details = await Promise.all(jobs.map(({ id }) => this.store.show(id)));
    const names = await readdir(this.folder, { recursive: true });
    const files = names.filter((name) => /^(logs|inputs|artifacts)\//.test(name)).sort();
    const sizes = await Promise.all(files.map((name) => stat(join(this.folder, name))));
    return {
      details,
      tokens: await this.store.tokens(),
      hosts: (await this.store.hosts()).map(({ seenAt: _, ...host }) => host),
      files: files.flatMap((name, at) =>
        sizes[at]?.isFile() ? [`${name} ${sizes[at].size}`] : [],
      ),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#clean();
  }
}

const checks = new Map<object, ReturnType<typeof compileSchema>>();

function violations(schema: object, value: unknown) {
  const check = checks.get(schema) ?? compileSchema(schema);
  checks.set(schema, check);
  return check(value);
}

/** Fails when an answer is not what the table says of its route. */
function checkPromise(method: string, path: string, { status, headers, json, text }: Answer): void {
  if (status >= 400 && method !== "HEAD") {
    const type = headers.get("content-type");
    if (type?.startsWith("application/problem+json") !== true || violations(problemSchema, json)[0])
      throw new Error(`${method} ${path}: ${status} is no problem document: ${type} ${text}`);
  }
  const route = (Object.values(ROUTES) as Route[]).find(
    (one) => one.method === method && patternOf(one.path).test(path.split("?")[0] ?? ""),
  );
  if (route === undefined) return;
  if (status >= 400) {
    const slug = String(json?.type ?? "").replace("urn:testbed:problem:", "");
    const known: readonly string[] = [...EVERYWHERE, ...route.problems];
    const isKnown = known.some((one) => PROBLEMS[one as keyof typeof PROBLEMS].status === status);
    if (method === "HEAD" ? !isKnown : !known.includes(slug))
      throw new Error(`${method} ${path}: ${slug} is not told in the table of routes`);
    return;
  }
  const answer = route.answers[status];
  if (answer === undefined) throw new Error(`${method} ${path}: ${status} is not in the table`);
  const [wrong] = answer.schema === undefined ? [] : violations(answer.schema, json);
  if (wrong !== undefined) throw new Error(`${method} ${path}: ${JSON.stringify(wrong)} ${text}`);
}

/** A part of a path that is no such thing is a question for the route all the same. */
function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, "[^/]+").replaceAll(".", "\\.")}$`);
}
