import { parseArgs } from "node:util";

/** The parts, in the order in which they run. */
export const PARTS = {
  a: "start of a machine, against bare QEMU",
  b: "an OpenSSH server on the loopback",
  c: "a micro guest",
  service: "the job service, against graphile-worker on PostgreSQL",
} as const;

export type PartName = keyof typeof PARTS;

export type Arguments = {
  readonly parts: readonly PartName[];
  /** Undefined: as many as each part takes by default. */
  readonly pairs: number | undefined;
  readonly isJson: boolean;
  readonly isStrict: boolean;
  /** This process is one that a bench started. */
  readonly isAlone: boolean;
  readonly isHelp: boolean;
};

/** A command line that means nothing. */
export class ArgumentsError extends Error {
  override readonly name = "ArgumentsError";
}

export const HELP = `npm run bench -- [options] [part...]

Times testbed against other ways to do the same, side by side, and says which targets are met.

  --only a,b,c   these parts, of ${Object.entries(PARTS)
    .map(([name, title]) => `${name}: ${title}`)
    .join("\n                 ")};
                 the same as naming them
  --pairs N      turns of each side, instead of each part's own number
  --json         one JSON document on standard output instead of the table
  --strict       exit status 1 when a target is missed
`;

/** Reads the command line. Throws `ArgumentsError`. */
export function readArguments(args: readonly string[]): Arguments {
  const { values, positionals } = parse(args);
  const named = [...(values.only?.split(",") ?? []), ...positionals];
  return {
    parts: (named.length === 0 ? Object.keys(PARTS) : named).map(part),
    pairs: values.pairs === undefined ? undefined : count(values.pairs),
    isJson: values.json,
    isStrict: values.strict,
    isAlone: values.alone,
    isHelp: values.help,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        only: { type: "string" },
        pairs: { type: "string" },
        json: { type: "boolean", default: false },
        strict: { type: "boolean", default: false },
        alone: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new ArgumentsError((error as Error).message, { cause: error });
  }
}

function part(name: string): PartName {
  if (Object.hasOwn(PARTS, name)) return name as PartName;
  throw new ArgumentsError(`the parts are ${Object.keys(PARTS).join(", ")}; '${name}' is none`);
}

function count(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new ArgumentsError(`--pairs takes a number from 1, not '${text}'`);
}
