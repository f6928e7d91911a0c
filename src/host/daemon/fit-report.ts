import { fitRefusal } from "#job/fit-verdict.ts";
import { LEASE_ROUTES } from "#protocol/lease-routes.ts";
import type { VerdictReport, WireArtifact } from "#protocol/verdict.ts";

const ARTIFACTS_MAX = 10_000;
const REFUSED_MAX = 1000;

/** What refusals get, however long the names of what was taken are. */
const REFUSED_BYTES_MIN = 256 * 1024;

/** Brackets, and a little more. */
const SPARE_BYTES = 1024;

/** A report that the wire takes: artifacts that do not fit are refused by name, and refusals that do not are not told. Twice is safe. */
export function fitReport(report: VerdictReport): VerdictReport {
  const rest = jsonBytes({ ...report, artifacts: [], refused: [] }) + SPARE_BYTES;
  const room = LEASE_ROUTES.reportVerdict.body.bytesMax - rest;
  const artifacts = firstOf(report.artifacts, ARTIFACTS_MAX, room - REFUSED_BYTES_MIN);
  const surplus = report.artifacts.slice(artifacts.length).map(refusalOf);
  const all = [...report.refused, ...surplus].map(fitRefusal);
  return { ...report, artifacts, refused: firstOf(all, REFUSED_MAX, room - jsonBytes(artifacts)) };
}

function refusalOf({ path }: WireArtifact) {
  return {
    name: path,
    why: "the artifacts of the attempt, or their names, are too many to report",
  };
}

function firstOf<T>(all: readonly T[], count: number, bytes: number): T[] {
  let left = bytes;
  const some = all.slice(0, count);
  const end = some.findIndex((one) => {
    // And a comma.
    left -= jsonBytes(one) + 1;
    return left < 0;
  });
  return end === -1 ? some : some.slice(0, end);
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
