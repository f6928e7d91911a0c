import { jobSpecOf } from "#job/job-spec-of.ts";
import type { Grant, LeaseRequest } from "#protocol/lease.ts";
import { wrongWithJob } from "#protocol/wrong-with-job.ts";
import type { Claim } from "./room.ts";

/** For a job that does not say, of an image that this host does not list. */
const MEMORY_MIB_DEFAULT = 512;

const NOTHING: Claim = { cpus: 0, memoryMiB: 0, diskMiB: 0 };

/** What a leased job takes of this host, as the service counted it when it gave the lease. One that is not understood takes nothing. */
export function claimOf({ job }: Grant, images: LeaseRequest["images"]): Claim {
  if (wrongWithJob(job) !== undefined) return NOTHING;
  const { inputs: _, ...file } = job;
  const { cpus, memoryMiB, diskMiB, image } = jobSpecOf(file, []);
  const name = image.split(/[:@]/)[0];
  const ofImage = images.find((offered) => offered.name === name)?.memoryMiBMin;
  const least = ofImage ?? MEMORY_MIB_DEFAULT;
  return { cpus, memoryMiB: Math.max(memoryMiB ?? 0, least), diskMiB: diskMiB ?? 0 };
}
