import { parseArgs } from "node:util";

/** Who is killed in a soak. */
const VICTIMS = ["daemon", "service", "libvirtd"] as const;

export type Victim = (typeof VICTIMS)[number];

/** What is soaked: jobs that count, in machines, while somebody is killed again and again. All that is random follows from the seed. */
export type SoakOrder = {
  readonly seed: number;
  readonly kills: number;
  readonly victims: readonly Victim[];
  /** Between two kills: from nothing to twice as much. */
  readonly pauseSeconds: number;
  readonly jobs: number;
  readonly atOnce: number;
  /** How long a job counts. */
  readonly secondsMin: number;
  readonly secondsMax: number;
};

type Lengths = Omit<SoakOrder, "seed">;

/** The soaks there are, with what they are made of unless the command line says otherwise. */
export const SOAKS: Readonly<
  Record<string, { readonly says: string; readonly isPaper?: true; readonly order: Lengths }>
> = {
  storm: {
    says: "kill -9 of daemon, service and libvirtd at random while jobs run, four at once",
    order: {
      kills: 200,
      victims: VICTIMS,
      pauseSeconds: 1.5,
      jobs: 20,
      atOnce: 4,
      secondsMin: 30,
      secondsMax: 90,
    },
  },
  "F-17": {
    says: "1000 times kill -9 of the daemon at random over 200 short jobs",
    order: {
      kills: 1000,
      victims: ["daemon"],
      pauseSeconds: 1.5,
      jobs: 200,
      atOnce: 2,
      secondsMin: 3,
      secondsMax: 20,
    },
  },
  "F-70": {
    says: "50 power cuts of the disk under a daemon that writes down what it does; machines on paper",
    isPaper: true,
    order: {
      kills: 50,
      victims: [],
      pauseSeconds: 2.5,
      jobs: 20,
      atOnce: 2,
      secondsMin: 0.5,
      secondsMax: 2,
    },
  },
  "F-107": {
    says: "200 jobs one after the other, and nothing else: nothing may grow",
    order: {
      kills: 0,
      victims: [],
      pauseSeconds: 0,
      jobs: 200,
      atOnce: 2,
      secondsMin: 1,
      secondsMax: 5,
    },
  },
};

export const SOAK_HELP = `npm run soak -- NAME [options]

Long drills, each with lengths of its own. NAME is one of:
${Object.entries(SOAKS)
  .map(
    ([name, { says, order }]) =>
      `  ${name.padEnd(6)} ${says}\n         (--kills ${order.kills} --jobs ${order.jobs})\n`,
  )
  .join("")}
  --kills N   so many times somebody is killed
  --jobs N    so many jobs run
  --seed N    repeats a run; default: drawn, and printed
`;

/** A command line that means nothing. */
export class SoakUsage extends Error {
  override readonly name = "SoakUsage";
}

/** Reads the command line; undefined: help is wanted. Throws `SoakUsage`. */
export function readSoak(
  args: readonly string[],
): { readonly name: string; readonly order: SoakOrder } | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  const [name = "", ...more] = positionals;
  const soak = SOAKS[name];
  if (soak === undefined || more.length > 0) throw new SoakUsage("name one soak");
  const { order } = soak;
  return {
    name,
    order: {
      ...order,
      kills: count(values.kills) ?? order.kills,
      jobs: count(values.jobs) ?? order.jobs,
      seed: count(values.seed) ?? Math.floor(Math.random() * 2 ** 31),
    },
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: "boolean" },
        kills: { type: "string" },
        jobs: { type: "string" },
        seed: { type: "string" },
      },
    });
  } catch (error) {
    throw new SoakUsage((error as Error).message);
  }
}

function count(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,9}$/.test(text)) throw new SoakUsage(`${text} is no whole number`);
  return Number(text);
}
