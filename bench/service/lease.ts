import { Line } from "./line.ts";
import { leaseRequestText } from "./messages.ts";
import type { Site } from "./site.ts";

/** Leases one job to each host of a site and returns the leases, in the order of the hosts. */
export async function lease({ site }: { site: Site }): Promise<readonly string[]> {
  return await Promise.all(
    site.hosts.map(async ({ name, token }) => {
      using line = await Line.open(site.to, token);
      return (await takeLease(line, name)).lease;
    }),
  );
}

/** Leases the job that is there for a host. Throws when there is none. */
export async function takeLease(line: Line, host: string): Promise<{ readonly lease: string }> {
  const request = { method: "POST", path: "/v1/leases", body: leaseRequestText(host, 0) } as const;
  return (await line.askJson(request, 200)) as { lease: string };
}
