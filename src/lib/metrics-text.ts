/** One number of a family, with its labels. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** What a family of numbers is: its kind, and one sentence. */
export type Family = readonly [type: "counter" | "gauge", help: string];

/**
 * Numbers in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/), families without any left out.
 * Label values are ours and need no escapes: names of operations, states, codes.
 */
export function metricsText<Name extends string>(
  families: Readonly<Record<Name, Family>>,
  samples: Readonly<Record<Name, readonly Sample[]>>,
): string {
  return (Object.keys(families) as Name[])
    .filter((name) => samples[name].length > 0)
    .map((name) => {
      const [type, help] = families[name];
      const lines = samples[name].map((sample) => sampleText(name, sample));
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
    })
    .join("");
}

/** A line of its own. */
export function sampleText(name: string, [labels, value]: Sample): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${text}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
}

/** A family of one number without labels. */
export function one(value: number): readonly Sample[] {
  return [[{}, value]];
}

/** The same, of a number that is not known yet: no line at all. */
export function maybe(value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : one(value);
}

/** What every process of ours tells of itself. */
export const PROCESS_FAMILIES = {
  testbed_build_info: ["gauge", "Always 1; the version is a label."],
  process_cpu_seconds_total: ["counter", "CPU time of the process, user and system."],
  process_resident_memory_bytes: ["gauge", "Memory of the process in RAM."],
  process_start_time_seconds: ["gauge", "When the process started, since 1970."],
} as const satisfies Record<string, Family>;

/** Its numbers now. */
export function processSamples(version: string) {
  const { user, system } = process.cpuUsage();
  return {
    testbed_build_info: [[{ version }, 1] as const],
    process_cpu_seconds_total: one((user + system) / 1e6),
    process_resident_memory_bytes: one(process.memoryUsage.rss()),
    process_start_time_seconds: one(STARTED_SECONDS),
  };
}

/** Once: the wall clock may be set later. */
const STARTED_SECONDS = Date.now() / 1000 - process.uptime();
