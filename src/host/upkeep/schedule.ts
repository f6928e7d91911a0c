import { createTask, validateDetailed } from "node-cron";

/** When something is due, again and again, by this host's wall clock. */
export interface Schedule {
  /** Milliseconds from now to its next moment; more than 0. */
  msToNext(): number;
}

/** What is wrong with a cron expression, for people; undefined when it is one: five fields, or six with seconds first. */
export function scheduleProblem(text: string): string | undefined {
  const { valid, errors } = validateDetailed(text);
  if (valid) return undefined;
  const [first] = errors;
  return `is no cron expression: ${first?.message ?? "it cannot be read"}`;
}

/**
 * The schedule that a cron expression describes. Only the reckoning is node-cron's: its own timers count every moment that a wall
 * clock jumps over, at 70 µs each, so a host whose clock goes from 1970 to now would stand still for half an hour, and one whose
 * clock goes back would wait for years. `timeZone` is a name of the IANA's, undefined for this host's. Throws what `scheduleProblem` says.
 */
export function openSchedule(text: string, timeZone?: string): Schedule {
  const problem = scheduleProblem(text);
  if (problem !== undefined) throw new Error(`'${text}' ${problem}`);
  const task = createTask(
    text,
    () => undefined,
    timeZone === undefined ? {} : { timezone: timeZone },
  );
  // It is never started; this takes it out of node-cron's list of tasks.
  void task.destroy();
  return {
    msToNext: () => {
      const [next] = task.getNextRuns(1);
      if (next === undefined) throw new Error(`'${text}' has no next moment`);
      return Math.max(1, next.getTime() - Date.now());
    },
  };
}
