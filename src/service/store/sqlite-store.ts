import type { HostView } from "#protocol/host-view.ts";
import type { JobDetail, JobEvent } from "#protocol/job-view.ts";
import type { Grant, LeaseRequest, RenewRequest } from "#protocol/lease.ts";
import type { TokenView } from "#protocol/token.ts";
import type { VerdictReport, WireArtifact } from "#protocol/verdict.ts";
import type { WireJob } from "#protocol/wire-job.ts";
import type { Requirement } from "#service/matching/requirement.ts";
import type {
  Ages,
  Census,
  Clock,
  Expired,
  Held,
  InputName,
  JobFilter,
  JobGlance,
  JobPage,
  NewToken,
  Renewed,
  Retired,
  Settled,
  Store,
  SubmitOrder,
  Submitted,
  UploadOrder,
} from "#service/ports.ts";
import { CommitLine, type Line } from "./commit-line.ts";
import type { HashedToken } from "./tokens.ts";

/** How a store is opened. */
export type StoreOptions = {
  /** The database's file; `-wal`, `-shm` and `.lock` lie beside it. Its folder must be there. */
  readonly path: string;
  readonly clock: Clock;
  /** Length of a lease after each renewal. */
  readonly leaseSeconds: number;
};

type QueuedListener = (requirements: readonly Requirement[]) => void;

/** The store over SQLite, in one thread of its own. */
export class SqliteStore implements Store {
  readonly #line: Line;
  readonly #tokens: Map<string, TokenView>;
  readonly #listeners = new Set<QueuedListener>();

  /** Over a line that is open, and the tokens that it has. */
  constructor(line: Line, tokens: readonly HashedToken[]) {
    this.#line = line;
    const valid = tokens.filter(({ revokedAt }) => revokedAt === undefined);
    this.#tokens = new Map(valid.map(({ hash, ...token }) => [hash, token]));
    line.onQueued = (requirements) => {
      for (const listener of this.#listeners) listener(requirements);
    };
  }

  /** Opens the store and brings its schema up to date; every live lease has its full length again. Throws `StoreError`. */
  static async open({ path, clock, leaseSeconds }: StoreOptions): Promise<SqliteStore> {
    const { line, tokens } = await CommitLine.open(clock, { path, leaseSeconds });
    return new SqliteStore(line, tokens);
  }

  submit(order: SubmitOrder): Promise<Submitted> {
    return this.#line.ask("submit", order);
  }

  list(filter: JobFilter): Promise<JobPage> {
    return this.#line.ask("list", filter);
  }

  show(id: string): Promise<JobDetail | undefined> {
    return this.#line.ask("show", id);
  }

  glance(id: string): Promise<JobGlance | undefined> {
    return this.#line.ask("glance", id);
  }

  cancel(id: string, why: string): Promise<JobDetail | undefined> {
    return this.#line.ask("cancel", { id, why });
  }

  events(id: string, after: number): Promise<readonly JobEvent[] | undefined> {
    return this.#line.ask("events", { id, after });
  }

  artifacts(id: string, attempt: number): Promise<readonly WireArtifact[] | undefined> {
    return this.#line.ask("artifacts", { id, attempt });
  }

  async take(request: LeaseRequest): Promise<Grant | undefined> {
    const packed = await this.#line.ask("take", request);
    if (packed === undefined) return undefined;
    return { ...packed, job: JSON.parse(packed.job) as WireJob };
  }

  renew(lease: string, host: string, request: RenewRequest): Promise<Renewed> {
    return this.#line.ask("renew", { lease, host, request });
  }

  settle(lease: string, host: string, report: VerdictReport): Promise<Settled> {
    return this.#line.ask("settle", { lease, host, report });
  }

  holds(lease: string, host: string): Promise<Held> {
    return this.#line.ask("holds", { lease, host });
  }

  leasedInput(lease: string, host: string, sha256: string): Promise<number | undefined> {
    return this.#line.ask("leasedInput", { lease, host, sha256 });
  }

  expire(): Promise<Expired> {
    return this.#line.ask("expire", undefined);
  }

  hosts(): Promise<readonly HostView[]> {
    return this.#line.ask("hosts", undefined);
  }

  census(): Promise<Census> {
    return this.#line.ask("census", undefined);
  }

  setDrain(host: string, why: string | undefined): Promise<HostView | undefined> {
    return this.#line.ask("setDrain", { host, why });
  }

  async addToken(token: NewToken): Promise<string> {
    const { hash, ...added } = await this.#line.ask("addToken", token);
    this.#tokens.set(hash, added);
    return added.id;
  }

  async tokens(): Promise<readonly TokenView[]> {
    const tokens = await this.#line.ask("tokens", undefined);
    return tokens.map(({ hash: _, ...token }) => token);
  }

  async revokeToken(id: string): Promise<boolean> {
    const isThere = await this.#line.ask("revokeToken", id);
    for (const [hash, token] of this.#tokens) if (token.id === id) this.#tokens.delete(hash);
    return isThere;
  }

  tokenOf(hash: string): TokenView | undefined {
    return this.#tokens.get(hash);
  }

  beginInput(order: UploadOrder): Promise<number | undefined> {
    return this.#line.ask("beginInput", order);
  }

  dropUpload(name: InputName): Promise<void> {
    return this.#line.ask("dropUpload", name);
  }

  dropInput(name: InputName, unusedSeconds: number): Promise<boolean> {
    return this.#line.ask("dropInput", { ...name, unusedSeconds });
  }

  retire(ages: Ages): Promise<Retired> {
    return this.#line.ask("retire", ages);
  }

  makeRoom(most: number): Promise<readonly string[]> {
    return this.#line.ask("makeRoom", most);
  }

  withFiles(ids: readonly string[]): Promise<readonly string[]> {
    return this.#line.ask("withFiles", ids);
  }

  addInput(owner: string, sha256: string, bytes: number): Promise<void> {
    return this.#line.ask("addInput", { owner, sha256, bytes });
  }

  inputOf(owner: string, sha256: string): Promise<number | undefined> {
    return this.#line.ask("inputOf", { owner, sha256 });
  }

  onQueued(listener: QueuedListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Has everything done that was asked for, then closes the database. Twice is safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#line[Symbol.asyncDispose]();
  }
}
