import type { SubmitRequest } from "#protocol/submit.ts";
import { DaemonRoom } from "#test/kit/daemon-room.ts";
import { eventually } from "#test/kit/eventually.ts";
import { openAttempts } from "#test/kit/lab.ts";
import { countingStep } from "./counting.ts";
import { attemptsOf, type DrilledJob, type Expected } from "./expected.ts";
import { wrongWithJob } from "./job-invariants.ts";

/** The host that drills are about. */
export const PAPER_HOST = "drill";

const SETTLED_MS = 60_000;
const IDLE_MS = 10_000;

/**
 * Where a drill without machines happens: the real service in this process, daemons in this one or in their own, machines and guests
 * on paper. `check` says what does not hold in the end; the room itself fails on what the service thought a bug.
 */
export class PaperStage implements AsyncDisposable {
  readonly room: DaemonRoom;
  readonly #jobs: DrilledJob[] = [];
  readonly #kept = new AsyncDisposableStack();

  private constructor(room: DaemonRoom) {
    this.room = room;
  }

  static async open(): Promise<PaperStage> {
    return new PaperStage(await DaemonRoom.open());
  }

  /** Keeps something until the stage ends. */
  use<T extends AsyncDisposable>(something: T): T {
    return this.#kept.use(something);
  }

  /** Submits a job that counts as `expected` says, or does what `steps` say. */
  async submit(
    expected: Expected,
    more: Partial<SubmitRequest["job"]> = {},
    steps?: readonly string[],
  ): Promise<string> {
    const { counting } = expected;
    const runs = steps ?? (counting === undefined ? ["true"] : [countingStep(counting).run]);
    const attempts = attemptsOf(expected).length;
    const id = await this.room.submit(runs, { attempts, ...more });
    this.#jobs.push({ id, expected });
    return id;
  }

  /** What is wrong once all jobs are over and all is delivered. */
  async check(): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const job of this.#jobs) {
      const isOver = async () => (await this.room.show(job.id)).state === "settled";
      await eventually(isOver, SETTLED_MS).catch(() => undefined);
      wrong.push(...(await this.#wrongWith(job)));
    }
    const attempts = async () => await openAttempts(this.room.stateOf(PAPER_HOST));
    await eventually(async () => (await attempts()).length === 0, IDLE_MS).catch(() => undefined);
    wrong.push(...(await attempts()).map((name) => `V1: attempts/${name} is still there`));
    return wrong;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.room[Symbol.asyncDispose]();
    await this.#kept[Symbol.asyncDispose]();
  }

  async #wrongWith(job: DrilledJob): Promise<readonly string[]> {
    const { room } = this;
    const { json } = await room.ask("GET", `/v1/jobs/${job.id}/events`);
    return await wrongWithJob(job, {
      detail: await room.show(job.id),
      events: json.events,
      log: (name) => room.log(job.id, name),
      async artifacts() {
        const list = await room.ask("GET", `/v1/jobs/${job.id}/artifacts`);
        return Object.fromEntries(list.json.artifacts.map(({ path, sha256 }) => [path, sha256]));
      },
    });
  }
}
