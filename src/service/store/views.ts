import type { JobEvent } from "#protocol/job-view.ts";
import type { Row } from "./sql.ts";

type Present<T> = { [K in keyof T]?: Exclude<T[K], null | undefined> };

/** The entries that have a value: on the wire what is not there is left out. */
export function present<T extends object>(entries: T): Present<T> {
  return Object.fromEntries(
    Object.entries(entries).filter(([, value]) => value !== null && value !== undefined),
  ) as Present<T>;
}

/** A time of the database as the wire has it. */
export function timeOf(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

/** A row of `events` as the wire has it. */
export function eventOf(row: Row): JobEvent {
  const { job: _, at, ...rest } = row;
  return { ...present(rest), at: timeOf(Number(at)) } as JobEvent;
}
