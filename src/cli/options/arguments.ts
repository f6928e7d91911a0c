import { InvalidArgumentError } from "commander";
import { line } from "#job/values.ts";
import { compileSchema } from "#lib/validate.ts";
import { ATTEMPTS_MAX, hostName, jobId } from "#protocol/values.ts";

/** What the command line gives in words, read or refused; for commander's `argParser`. */

/** A job's id. */
export function parseJobId(text: string): string {
  if (fits(jobId, text)) return text;
  throw new InvalidArgumentError("A job's id is 16 hexadecimal digits; 'testbed jobs' lists them.");
}

/** Several of them. */
export function parseJobIds(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, parseJobId(text)];
}

/** The number of an attempt. */
export function parseAttempt(text: string): number {
  const number = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= ATTEMPTS_MAX) return number;
  throw new InvalidArgumentError(`It must be a number from 1 to ${ATTEMPTS_MAX}.`);
}

/** A host's name. */
export function parseHostName(text: string): string {
  if (fits(hostName, text)) return text;
  throw new InvalidArgumentError("It is no host's name; 'testbed hosts' lists them.");
}

/** Several of them. */
export function parseHostNames(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, parseHostName(text)];
}

/** A reason for people, on one line. */
export function parseLine(text: string): string {
  if (fits(line, text)) return text;
  throw new InvalidArgumentError(`It ${line.patternErrorMessage}.`);
}

/** A whole number; its range is somebody else's business. */
export function parseWhole(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

function fits(schema: object, text: string): boolean {
  return compileSchema(schema)(text).length === 0;
}
