import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** What a helper can be asked, by name. */
type Calls = Readonly<Record<string, (input: never) => Promise<unknown>>>;

/** A call and its answer, as they go over the channel between two processes. */
type Call = { readonly name: string; readonly input: unknown };
type Answered = { readonly value: unknown } | { readonly error: string };

/**
 * A process that does work which must not be in the way of who measures, on a plain Node: the flags that our own processes
 * run with are chosen for other work. One call at a time.
 */
export class Helper<C extends Calls> implements AsyncDisposable {
  readonly #process;

  /** Starts a script of this folder that ends with `answerCalls`. */
  constructor(script: string) {
    this.#process = fork(fileURLToPath(new URL(script, import.meta.url)), { execArgv: [] });
  }

  /** Has it do something. Throws what went wrong there, and when its process ends meanwhile. */
  async call<K extends keyof C & string>(
    name: K,
    input: Parameters<C[K]>[0],
    signal: AbortSignal,
  ): Promise<Awaited<ReturnType<C[K]>>> {
    using over = new DisposableStack();
    const stop = over.adopt(new AbortController(), (controller) => controller.abort());
    const options = { signal: AbortSignal.any([signal, stop.signal]) };
    const answered = once(this.#process, "message", options);
    const ended = once(this.#process, "exit", options);
    ended.catch(() => undefined);
    this.#process.send({ name, input } satisfies Call);
    const [answer] = (await Promise.race([answered, ended])) as [Answered | number | null];
    if (typeof answer !== "object" || answer === null)
      throw new Error(`${name}: its process ended`);
    if ("error" in answer) throw new Error(`${name}: ${answer.error}`);
    return answer.value as Awaited<ReturnType<C[K]>>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }
}

/** The inside of a helper: answers calls until whoever started it is gone. */
export function answerCalls(calls: Calls): void {
  process.on("message", async ({ name, input }: Call) => {
    const call = calls[name] as (input: unknown) => Promise<unknown>;
    const answer = await call(input).then(
      (value): Answered => ({ value }),
      (error: Error): Answered => ({ error: String(error.stack) }),
    );
    process.send?.(answer);
  });
  process.on("disconnect", () => process.exit());
}
