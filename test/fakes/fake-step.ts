import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { LogFile } from "#host/guest/log-file.ts";
import type { StepEnd, StepOrder } from "#host/runner/guest-port.ts";

type Why = "timed-out" | "silent";
type End = Pick<StepEnd, "outcome" | "exitCode" | "signal">;

/** A step of a fake guest: a plain shell of this host, which runs whether or not anybody follows it. */
export class FakeStep {
  readonly #limitBytes: number;
  readonly #kept: Buffer[] = [];
  #keptBytes = 0;
  #printedBytes = 0;
  #end: End | undefined;
  #news = Promise.withResolvers<void>();
  #kill = (_why?: Why): void => undefined;

  /** Starts it; of the order what only its first call says counts: text, environment and limits. */
  constructor(order: StepOrder) {
    this.#limitBytes = order.logLimitBytes;
    void this.#run(order);
  }

  /** Ends it with all its group. Twice is safe, and so is after its end. */
  kill(): void {
    this.#kill();
  }

  /** Adds what the log has not yet until the step ends. `letGo` ends the following alone, `signal` the step as well. */
  async follow(order: StepOrder, signal: AbortSignal, letGo: AbortSignal): Promise<StepEnd> {
    await using log = await LogFile.open(order.logPath, this.#limitBytes);
    const kill = () => this.kill();
    signal.addEventListener("abort", kill, { once: true });
    if (signal.aborted) kill();
    const gone = whenAborted(letGo);
    try {
      for (;;) {
        const news = this.#news.promise;
        const [end, kept] = [this.#end, Buffer.concat(this.#kept)];
        const piece = await log.append(kept.subarray(log.bytes));
        if (piece.length > 0) order.onLog?.(piece);
        if (end !== undefined) return await this.#finish({ order, log, end }, signal);
        await Promise.race([news, gone]);
        letGo.throwIfAborted();
      }
    } finally {
      signal.removeEventListener("abort", kill);
    }
  }

  async #finish(
    { order, log, end }: { order: StepOrder; log: LogFile; end: End },
    signal: AbortSignal,
  ): Promise<StepEnd> {
    const size = { logBytes: log.bytes, cutBytes: this.#printedBytes - log.bytes };
    const line = size.cutBytes > 0 ? await log.cut(size.cutBytes) : Buffer.alloc(0);
    if (line.length > 0) order.onLog?.(line);
    if (!signal.aborted) return { ...end, ...size };
    order.onLogEnd?.(size);
    throw signal.reason;
  }

  async #run({ step, env, attemptSecondsLeft = Infinity }: StepOrder): Promise<void> {
    const home = mkdtempSync("/tmp/testbed-fake-guest-");
    const child = spawn("sh", ["-c", `exec 2>&1; ${step.run}`], {
      cwd: home,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: home, ...env },
      stdio: ["ignore", "pipe", "ignore"],
      detached: true,
    });
    let ended: Why | undefined;
    this.#kill = (why) => {
      ended ??= why;
      endGroup(child.pid);
    };
    const limit = (seconds: number, why: Why) =>
      seconds === Infinity
        ? undefined
        : setTimeout(() => this.#kill(why), Math.max(0, seconds * 1000));
    const timeout = limit(
      Math.min(step.timeoutSeconds ?? Infinity, attemptSecondsLeft),
      "timed-out",
    );
    const silence = limit(step.silenceSeconds ?? Infinity, "silent");
    const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      silence?.refresh();
      this.#keep(piece);
    }
    const code = await closed;
    this.#kill = () => undefined;
    clearTimeout(timeout);
    clearTimeout(silence);
    await rm(home, { recursive: true, force: true });
    const outcome = ended ?? (code === 0 ? "passed" : "failed");
    this.#end = { outcome, ...(code === null ? { signal: "KILL" } : { exitCode: code }) };
    this.#tell();
  }

  #keep(piece: Buffer): void {
    const fits = piece.subarray(0, Math.max(0, this.#limitBytes - this.#keptBytes));
    this.#printedBytes += piece.length;
    this.#keptBytes += fits.length;
    if (fits.length > 0) this.#kept.push(fits);
    this.#tell();
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** Kills a process group; one that has ended is fine. */
function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Resolves when a signal aborts. */
async function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
