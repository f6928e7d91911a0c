import { matchOffer, type Offer } from "#service/matching/match-offer.ts";
import {
  parseRequirementKey,
  type Requirement,
  requirementKey,
} from "#service/matching/requirement.ts";
import type { Row, Sql } from "./sql.ts";

/**
 * The queued jobs, in table `queue`, and a picture of it in memory that makes a take cheap however long the queue is.
 *
 * Jobs that need the same of a host form a class. Within a class priority and age alone decide, so a host is shown only the first
 * job of each class that fits it. The picture holds the classes that have jobs, and their first ones as far as they are
 * known; a take costs one comparison for each class and one search of the table's key for a first job that is not known.
 */

/** What has to be known to put a job into the queue. */
export type Queued = {
  readonly job: number;
  readonly owner: string;
  readonly class: number;
  readonly priority: number;
  readonly submittedAt: number;
  /** Undefined: it may wait for ever. */
  readonly limitAt: number | undefined;
};

type Head = Row & { job: number; rank: number; submitted_at: number; owner: string };

type Class = { readonly id: number; readonly requirement: Requirement; head: Head | undefined };

/** A job that fits the host that asks, the first of its class, and the image it would run from. */
export type Candidate = {
  readonly job: number;
  readonly owner: string;
  readonly class: number;
  readonly rank: number;
  readonly image: Chosen;
};

type Chosen = Exclude<ReturnType<typeof matchOffer>, string>;

/** Among jobs of one priority, one whose image is on the host already goes before one that is up to so much older. */
const IMAGE_HEAD_START_MS = 60_000;

export class Queue {
  readonly #sql: Sql;
  readonly #classes = new Map<number, Class>();
  /** Requirements of all classes that were met in this life of the process, queued jobs or none. */
  readonly #known = new Map<string, number>();
  /** How many jobs each owner has in the queue. */
  readonly #byOwner = new Map<string, number>();
  /** Requirements that jobs were queued with since `takeNews`. */
  readonly #news = new Map<number, Requirement>();

  constructor(sql: Sql) {
    this.#sql = sql;
    this.reload();
  }

  /** Forgets the picture and reads it again: after a rollback, and at start. */
  reload(): void {
    this.#classes.clear();
    this.#known.clear();
    this.#byOwner.clear();
    const owners = "SELECT owner, count(*) AS jobs FROM queue GROUP BY owner";
    for (const { owner, jobs } of this.#sql.all<{ owner: string; jobs: number }>(owners))
      this.#byOwner.set(owner, jobs);
    const rows = this.#sql.all<{ class: number; key: string }>(
      "SELECT class, key FROM requirements WHERE class IN (SELECT DISTINCT class FROM queue)",
    );
    for (const { class: id, key } of rows) {
      this.#known.set(key, id);
      this.#classes.set(id, { id, requirement: parseRequirementKey(key), head: undefined });
    }
  }

  /** The class of a requirement, made when there is none yet. */
  classOf(requirement: Requirement): number {
    const key = requirementKey(requirement);
    let id = this.#known.get(key);
    if (id === undefined) {
      id =
        this.#sql.one<{ class: number }>("SELECT class FROM requirements WHERE key = ?", key)
          ?.class ?? this.#sql.insert("INSERT INTO requirements (key) VALUES (?)", key);
      if (this.#known.size >= KNOWN_MAX) this.#known.clear();
      this.#known.set(key, id);
    }
    return id;
  }

  /** What a class needs. */
  requirementOf(id: number): Requirement {
    const active = this.#classes.get(id);
    if (active !== undefined) return active.requirement;
    const row = this.#sql.one<{ key: string }>("SELECT key FROM requirements WHERE class = ?", id);
    if (row === undefined) throw new Error(`no requirement class ${id}`);
    return parseRequirementKey(row.key);
  }

  /** Forgets a class that no job has any more, queued or not. */
  dropClass(id: number): void {
    const row = this.#sql.one<{ key: string }>(
      `DELETE FROM requirements WHERE class = ?1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE class = ?1) RETURNING key`,
      id,
    );
    if (row === undefined) return;
    this.#known.delete(row.key);
    this.#classes.delete(id);
  }

  /** How many jobs are queued. */
  get size(): number {
    return [...this.#byOwner.values()].reduce((sum, jobs) => sum + jobs, 0);
  }

  /** How many jobs an owner has in the queue. */
  countOf(owner: string): number {
    return this.#byOwner.get(owner) ?? 0;
  }

  /** Puts a job in. */
  add({ job, owner, class: id, priority, submittedAt, limitAt }: Queued): void {
    this.#sql.run(
      "INSERT INTO queue (class, rank, job, submitted_at, limit_at, owner) VALUES (?, ?, ?, ?, ?, ?)",
      id,
      -priority,
      job,
      submittedAt,
      limitAt ?? null,
      owner,
    );
    this.#byOwner.set(owner, this.countOf(owner) + 1);
    const known = this.#classes.get(id);
    const head = { job, rank: -priority, submitted_at: submittedAt, owner };
    if (known === undefined) {
      const requirement = this.requirementOf(id);
      this.#classes.set(id, { id, requirement, head });
      this.#news.set(id, requirement);
      return;
    }
    if (known.head !== undefined && isBefore(head, known.head)) known.head = head;
    this.#news.set(id, known.requirement);
  }

  /** Takes a job out; twice is safe. */
  remove(job: number): void {
    const row = this.#sql.one<{ class: number; owner: string }>(
      "DELETE FROM queue WHERE job = ? RETURNING class, owner",
      job,
    );
    if (row === undefined) return;
    this.#countDown(row.owner);
    const known = this.#classes.get(row.class);
    if (known?.head?.job === job) known.head = undefined;
  }

  /** Takes out the job that `best` has found. */
  removeFirst({ job, owner, class: id, rank }: Candidate): void {
    this.#sql.run("DELETE FROM queue WHERE class = ? AND rank = ? AND job = ?", id, rank, job);
    this.#countDown(owner);
    const known = this.#classes.get(id);
    if (known !== undefined) known.head = undefined;
  }

  /**
   * The job that fits a host best: highest priority, then age, with a head start for an image that the host has.
   * `mayBreakAvoidance` says whether a job that is to avoid the host may run there all the same.
   */
  best(
    offer: Offer,
    mayBreakAvoidance: (requirement: Requirement) => boolean,
  ): Candidate | undefined {
    let best: (Candidate & { readonly head: Head; readonly fromMs: number }) | undefined;
    for (const known of this.#classes.values()) {
      const { id, requirement } = known;
      const image = matchOffer(requirement, offer);
      if (typeof image === "string") continue;
      if (requirement.avoid.includes(offer.host) && !mayBreakAvoidance(requirement)) continue;
      const head = this.#headOf(known);
      if (head === undefined) continue;
      const fromMs = head.submitted_at - (image.digest === undefined ? 0 : IMAGE_HEAD_START_MS);
      const order = best === undefined ? -1 : head.rank - best.head.rank || fromMs - best.fromMs;
      if (best === undefined || order < 0 || (order === 0 && head.job < best.job)) {
        const { job, owner, rank } = head;
        best = { job, owner, class: id, rank, image, head, fromMs };
      }
    }
    return best;
  }

  /** A job's place in its class from 1, counted up to `most`. */
  positionOf(job: number, most: number): number {
    const row = this.#sql.one<{ ahead: number }>(
      `SELECT count(*) AS ahead FROM (
         SELECT 1 FROM queue AS other JOIN queue AS mine ON other.class = mine.class
         WHERE mine.job = ? AND (other.rank, other.job) < (mine.rank, mine.job) LIMIT ?)`,
      job,
      most - 1,
    );
    return (row?.ahead ?? 0) + 1;
  }

  /** The requirements that jobs were queued with since the last call. */
  takeNews(): readonly Requirement[] {
    const news = [...this.#news.values()];
    this.#news.clear();
    return news;
  }

  #countDown(owner: string): void {
    const left = this.countOf(owner) - 1;
    if (left > 0) this.#byOwner.set(owner, left);
    else this.#byOwner.delete(owner);
  }

  #headOf(known: Class): Head | undefined {
    known.head ??= this.#sql.one<Head>(
      "SELECT job, rank, submitted_at, owner FROM queue WHERE class = ? ORDER BY rank, job LIMIT 1",
      known.id,
    );
    if (known.head === undefined) this.#classes.delete(known.id);
    return known.head;
  }
}

/** Bounds the memory of a service that meets ever new requirements. */
const KNOWN_MAX = 10_000;

function isBefore(a: Head, b: Head): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.job < b.job);
}
