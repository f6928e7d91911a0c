import { bytesInWords } from "#lib/words.ts";
import type { HostView } from "#protocol/host-view.ts";
import type { Room } from "#protocol/lease.ts";
import { ageOf } from "./ages.ts";
import { type Column, tableOf } from "./columns.ts";
import { type Fact, factsOf } from "./facts.ts";

/** How much of something is used, and of how much: `2/4`, `1.0/8.0 GiB`. */
export function usedOf({ free, capacity }: HostView, what: keyof Room): string {
  const [used, all] = [Math.max(capacity[what] - free[what], 0), capacity[what]];
  if (what === "slots" || what === "cpus") return `${used}/${all}`;
  const [size = "", unit = ""] = bytesInWords(all * 2 ** 20).split(" ");
  const inUnit = Number(size) === 0 ? 0 : (used * Number(size)) / all;
  return `${inUnit.toFixed(1)}/${size} ${unit}`;
}

/** All about a host for people, in sections divided by empty lines. */
export function hostInWords(host: HostView, widthMax: number | undefined): string {
  const { doing, faults, images } = host;
  return [
    factsOf(facts(host)),
    ...(doing.length === 0 ? [] : [tableOf(DOING, doing, widthMax)]),
    ...(faults.length === 0 ? [] : [tableOf(FAULTS, faults, widthMax)]),
    ...(images.length === 0 ? [] : [tableOf(IMAGES, images, widthMax)]),
  ].join("\n");
}

function facts(host: HostView): readonly Fact[] {
  const { versions, labels } = host;
  return [
    ["host", host.name],
    ["state", `${host.state} since ${ageOf(host.since)}`],
    ["drain", host.drain],
    ["takes none", host.hold],
    ["seen", `${ageOf(host.seenAt)} ago`],
    ["slots", usedOf(host, "slots")],
    ["cpus", usedOf(host, "cpus")],
    ["memory", usedOf(host, "memoryMiB")],
    ["disk", usedOf(host, "diskMiB")],
    ["machines run", host.acceleration === "kvm" ? "in hardware (kvm)" : "emulated (tcg)"],
    ["labels", labels.length === 0 ? undefined : labels.join(", ")],
    [
      "versions",
      Object.entries(versions)
        .map((pair) => pair.join(" "))
        .join(", "),
    ],
  ];
}

const DOING: readonly Column<HostView["doing"][number]>[] = [
  { head: "JOB", cell: ({ jobId }) => jobId },
  { head: "ATTEMPT", cell: ({ attempt }) => String(attempt), isRight: true },
  { head: "PHASE", cell: ({ phase }) => phase },
  { head: "FOR", cell: ({ since }) => ageOf(since), isRight: true },
];

const FAULTS: readonly Column<HostView["faults"][number]>[] = [
  { head: "FAULT", cell: ({ code }) => code },
  { head: "JOB", cell: ({ jobId }) => jobId },
  { head: "WHEN", cell: ({ at }) => `${ageOf(at)} ago`, isRight: true },
  { head: "WHAT", cell: ({ message }) => (message ?? "-").split("\n")[0] ?? "-", least: 10 },
];

const IMAGES: readonly Column<HostView["images"][number]>[] = [
  { head: "IMAGE", cell: ({ name }) => name, least: 10 },
  { head: "VERSION", cell: ({ version }) => version, least: 8 },
  { head: "SHA-256", cell: ({ digest }) => digest ?? "not built yet", least: 13 },
];
