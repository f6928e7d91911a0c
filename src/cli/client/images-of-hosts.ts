import type { HostView } from "#protocol/host-view.ts";
import { type Column, tableOf } from "./columns.ts";

type Row = {
  readonly image: string;
  readonly digest: string;
  readonly hosts: readonly string[];
};

const COLUMNS: readonly Column<Row>[] = [
  { head: "IMAGE", cell: ({ image }) => image },
  { head: "DIGEST", cell: ({ digest }) => digest },
  { head: "HOSTS", cell: ({ hosts }) => hosts.join(", "), least: 12 },
];

const UNBUILT = "not built yet";

/** Which image, by name, version and digest, lies on which hosts, as they said it last; those that are lost are left out. */
export function imagesOfHosts(hosts: readonly HostView[], widthMax: number | undefined): string {
  const rows = new Map<string, { image: string; digest: string; hosts: string[] }>();
  for (const host of hosts.filter(({ state }) => state !== "lost"))
    for (const { name, version, digest = UNBUILT } of host.images) {
      const image = `${name}:${version}`;
      const row = rows.get(`${image} ${digest}`) ?? { image, digest, hosts: [] };
      row.hosts.push(host.name);
      rows.set(`${image} ${digest}`, row);
    }
  if (rows.size === 0) return "No host has an image.\n";
  const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  return tableOf(COLUMNS, sorted, widthMax);
}
