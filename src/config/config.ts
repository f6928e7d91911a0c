import { isAbsolute, join, resolve } from "node:path";
import { parseSizeMiB } from "#job/units.ts";
import { printable } from "#lib/printable.ts";
import { suggestion } from "#lib/suggestion.ts";
import { ConfigError } from "./config-error.ts";

/** Everything that the environment decides, resolved and frozen. Rooms get the values they need, never this object. */
export type Config = {
  /** Absolute path of this host's state folder: images, machines, locks. */
  readonly stateFolder: string;
  readonly libvirtUri: string;
  readonly acceleration: "auto" | "kvm" | "tcg";
  /** Absolute paths of catalogue folders beside the one that ships, in the order of the search. */
  readonly catalogueFolders: readonly string[];
  /** The file of `imagesConfigSchema`; where it was named it must be there. */
  readonly imagesFile: { readonly path: string; readonly isNamed: boolean } | undefined;
  /** Each step's log is cut after so many bytes. */
  readonly logLimitBytes: number;
  /** Whether a terminal may be written to with colours. */
  readonly hasColor: boolean;
  /** False on terminals that cannot move the cursor. */
  readonly canMoveCursor: boolean;
};

type Environment = Readonly<Record<string, string | undefined>>;

/** The variables that testbed reads, for `testbed --help`: what each means, its unit and its default. */
export const VARIABLES = [
  {
    name: "TESTBED_STATE",
    says: "folder for images and machines; an absolute path that QEMU's user can pass through",
    default: "/var/lib/testbed for root, else $XDG_STATE_HOME/testbed or ~/.local/state/testbed",
  },
  {
    name: "TESTBED_LIBVIRT",
    says: "libvirt to use: qemu:///system or qemu:///session, with ?socket=/path if need be",
    default: "qemu:///system",
  },
  {
    name: "TESTBED_ACCEL",
    says: "how machines run: kvm (in hardware), tcg (emulated), auto (kvm where it really works)",
    default: "auto",
  },
  {
    name: "TESTBED_CATALOGUE",
    says: "more image folders, absolute paths divided by colons; searched before the one that ships",
    default: "none",
  },
  {
    name: "TESTBED_IMAGES",
    says: "file that says which catalogues of images this host follows; see config/images.yaml",
    default: "/etc/testbed/images.yaml for root, else ~/.config/testbed/images.yaml, where there",
  },
  {
    name: "TESTBED_LOG_LIMIT",
    says: "where a step's log is cut, 1MiB to 1TiB",
    default: "64MiB",
  },
  {
    name: "TESTBED_SERVICE",
    says: "the job service to ask, https://HOST:PORT or unix:/PATH; --service wins",
    default: "the context's",
  },
  {
    name: "TESTBED_TOKEN_FILE",
    says: "file that holds the token to ask it with, readable by you alone",
    default: "the context's",
  },
  {
    name: "TESTBED_TOKEN",
    says: "that token itself, where a file is not possible",
    default: "none",
  },
  {
    name: "TESTBED_CONTEXT",
    says: "a context of ~/.config/testbed/config.yaml; --context wins",
    default: "the current one of the file, else the service of this machine",
  },
] as const;

const LIBVIRT_URI = /^(qemu:\/\/\/(system|session)|test:\/\/\/default)(\?socket=\/[^?#\s]+)?$/;
const LOG_LIMIT_MIB = { default: 64, max: 1024 * 1024 } as const;

/** For the launcher and for the tests of testbed itself: not ours to judge. */
const PASSED_OVER = /^TESTBED_(NODE|TEST(_\w+)?)$/;

/** Reads the environment; `isRoot` decides the default state folder. Throws `ConfigError` with all that is wrong. */
export function readConfig(
  environment: Environment = process.env,
  isRoot = process.getuid?.() === 0,
): Config {
  const problems: string[] = [];
  const read = <T>(name: string, parse: (text: string) => T | undefined, allowed: string) => {
    const text = environment[name];
    if (text === undefined || text === "") return undefined;
    const value = parse(text);
    if (value === undefined)
      problems.push(`${name} is '${printable(text)}'; it must be ${allowed}`);
    return value;
  };
  problems.push(...unknownVariables(environment));
  const config: Config = {
    stateFolder:
      read("TESTBED_STATE", absolute, "an absolute path") ??
      defaultStateFolder(environment, isRoot, problems),
    libvirtUri:
      read(
        "TESTBED_LIBVIRT",
        (text) => (LIBVIRT_URI.test(text) ? text : undefined),
        "qemu:///system or qemu:///session, perhaps with ?socket=/path",
      ) ?? "qemu:///system",
    acceleration: read("TESTBED_ACCEL", parseAcceleration, "auto, kvm or tcg") ?? "auto",
    catalogueFolders: read("TESTBED_CATALOGUE", folders, "absolute paths divided by colons") ?? [],
    imagesFile: imagesFile(
      read("TESTBED_IMAGES", absolute, "an absolute path"),
      environment,
      isRoot,
    ),
    logLimitBytes:
      (read("TESTBED_LOG_LIMIT", logLimitMiB, "a size from 1MiB to 1TiB") ??
        LOG_LIMIT_MIB.default) *
      2 ** 20,
    hasColor: (environment["NO_COLOR"] ?? "") === "" && environment["TERM"] !== "dumb",
    canMoveCursor: environment["TERM"] !== "dumb" && (environment["TERM"] ?? "") !== "",
  };
  if (problems.length > 0) throw new ConfigError(problems.join("\n"));
  return Object.freeze(config);
}

/** `auto`, `kvm` or `tcg`; undefined for anything else. */
function parseAcceleration(text: string): Config["acceleration"] | undefined {
  return text === "auto" || text === "kvm" || text === "tcg" ? text : undefined;
}

/** A misspelt variable would be obeyed by nobody, in silence. */
function unknownVariables(environment: Environment): readonly string[] {
  const known = VARIABLES.map(({ name }) => name);
  return Object.keys(environment)
    .filter((name) => name.startsWith("TESTBED_") && !PASSED_OVER.test(name))
    .filter((name) => !(known as string[]).includes(name))
    .map((name) =>
      [
        `${printable(name)} is no variable of testbed`,
        ...suggestion(name, known),
        `there are ${known.join(", ")}`,
      ].join("; "),
    );
}

function defaultStateFolder(environment: Environment, isRoot: boolean, problems: string[]): string {
  if (isRoot) return "/var/lib/testbed";
  const { XDG_STATE_HOME: xdg = "", HOME: home = "" } = environment;
  // The XDG base directory specification says to ignore relative paths.
  if (isAbsolute(xdg)) return join(xdg, "testbed");
  if (isAbsolute(home)) return join(home, ".local/state/testbed");
  problems.push("HOME is not set; set TESTBED_STATE to the folder for images and machines");
  return "/";
}

function imagesFile(
  named: string | undefined,
  { XDG_CONFIG_HOME: xdg = "", HOME: home = "" }: Environment,
  isRoot: boolean,
): Config["imagesFile"] {
  if (named !== undefined) return { path: named, isNamed: true };
  if (isRoot) return { path: "/etc/testbed/images.yaml", isNamed: false };
  const folder = isAbsolute(xdg) ? xdg : isAbsolute(home) ? join(home, ".config") : undefined;
  if (folder === undefined) return undefined;
  return { path: join(folder, "testbed/images.yaml"), isNamed: false };
}

function absolute(text: string): string | undefined {
  return isAbsolute(text) && !text.includes("\0") ? resolve(text) : undefined;
}

function folders(text: string): readonly string[] | undefined {
  const paths = text.split(":").map(absolute);
  return paths.every((path) => path !== undefined) ? paths : undefined;
}

function logLimitMiB(text: string): number | undefined {
  const size = parseSizeMiB(text);
  return size !== undefined && size <= LOG_LIMIT_MIB.max ? size : undefined;
}
