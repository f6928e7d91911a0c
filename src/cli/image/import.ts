import { stat } from "node:fs/promises";
import { arch } from "node:os";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { EXIT_CODES, UsageError } from "#cli/exit-code.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import { openCatalogue } from "#cli/this-host/house.ts";
import { readConfig } from "#config/config.ts";
import {
  type ImportOrder,
  type ImportSettings,
  importImage,
} from "#host/images/exchange/import-image.ts";
import { ExchangeRefused } from "#host/images/exchange/refused.ts";
import { NAME_PATTERN, SETTINGS, VERSION_PATTERN } from "#host/images/store/manifest.ts";
import { parseDuration, parseSize } from "./prune-options.ts";
import { tell, tellingBytes } from "./tell.ts";

const HELP_AFTER = `
The file is copied and stays where it is. A distribution's cloud image as it comes:
  $ testbed image import cloud.qcow2 --name debian-cloud --boot uefi --seed cloud-init \\
      --login debian --memory 512MiB

A disk whose kernel lies beside it:
  $ testbed image import disk.qcow2 --name small --boot kernel --kernel vmlinuz --initrd initrd.img \\
      --command-line "root=/dev/vda console=ttyS0" --seed nocloud --login root --memory 128MiB

A folder that 'testbed image export' wrote, which says all that by itself:
  $ testbed image import exported/small/20300101

A version never changes: another file needs another --version.
`;

type Options = {
  readonly name?: string;
  readonly version?: string;
  readonly architecture: "x86_64" | "aarch64";
  readonly boot: "uefi" | "kernel";
  readonly kernel?: string;
  readonly initrd?: string;
  readonly commandLine?: string;
  readonly seed: "cloud-init" | "nocloud";
  readonly login?: string;
  readonly memory?: number;
  readonly format: "qcow2" | "raw";
  readonly readinessConsole: number;
  readonly readinessSsh: number;
  readonly readinessSettled: number;
  readonly json?: boolean;
};

/** `testbed image import FILE`. */
export function imageImportCommand(): Command {
  return new Command("import")
    .summary("make an image of a disk file")
    .description("Makes an image of a disk file, or of a folder that an export wrote.")
    .argument("<file>", "the disk, unpacked when it ends in .gz, .xz or .zst; or the folder")
    .option("--name <name>", "what the image is called")
    .option("--version <version>", "its version (default: today)")
    .addOption(
      choice("--architecture <name>", "its processors", ["x86_64", "aarch64"], hostArchitecture()),
    )
    .addOption(choice("--boot <kind>", "how it boots", ["uefi", "kernel"], "uefi"))
    .option("--kernel <file>", "with --boot kernel: the kernel")
    .option("--initrd <file>", "with --boot kernel: its initial RAM disk")
    .option("--command-line <text>", "with --boot kernel: what the kernel is told")
    .addOption(
      choice("--seed <kind>", "how it learns its keys", ["cloud-init", "nocloud"], "cloud-init"),
    )
    .option("--login <user>", "the user that jobs run as")
    .option("--memory <size>", "the least memory that it boots with", parseSize)
    .addOption(
      choice("--format <format>", "what kind of file the disk is", ["qcow2", "raw"], "qcow2"),
    )
    .option("--readiness-console <time>", "until its first words, under KVM", parseDuration, 60)
    .option("--readiness-ssh <time>", "until its SSH server answers", parseDuration, 180)
    .option("--readiness-settled <time>", "until its start-up is over", parseDuration, 300)
    .option("--json", "print the image as one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action(importFile);
}

async function importFile(file: string, options: Options): Promise<void> {
  using cancel = cancelOnSignals(
    () => tell("stopping"),
    () => process.exit(EXIT_CODES.cancelled),
  );
  const path = resolve(file);
  const found = await stat(path).catch((error: Error) => {
    throw new UsageError(`${file}: ${error.message}`);
  });
  const order: ImportOrder = found.isDirectory()
    ? { kind: "folder", folder: path }
    : orderOf(path, options);
  const config = readConfig();
  const catalogue = await openCatalogue(config);
  using bytes = tellingBytes("copying", config);
  const progress = { onProgress: tell, onBytes: bytes.onBytes, signal: cancel.signal };
  const { isNew, ...image } = await importImage(catalogue, order, progress).catch(explainRefusal);
  if (!isNew) tell(`${image.name}:${image.version} was there already`);
  await printAnswer(
    options.json
      ? `${JSON.stringify({ ...image, isNew }, null, 2)}\n`
      : `${image.name}:${image.version} sha256:${image.digest}\n`,
  );
}

function orderOf(disk: string, options: Options): ImportOrder {
  const { kernel, initrd, format } = options;
  const isKernel = options.boot === "kernel";
  if (isKernel && (kernel === undefined || initrd === undefined || !options.commandLine))
    throw new UsageError("--boot kernel needs --kernel, --initrd and --command-line");
  if (!isKernel && (kernel ?? initrd ?? options.commandLine) !== undefined)
    throw new UsageError("--kernel, --initrd and --command-line are for --boot kernel");
  return {
    kind: "files",
    disk,
    format,
    ...(kernel === undefined ? {} : { kernel: resolve(kernel) }),
    ...(initrd === undefined ? {} : { initrd: resolve(initrd) }),
    settings: settingsOf(options),
  };
}

function settingsOf(options: Options): ImportSettings {
  const { architecture, boot, seed, memory, commandLine = "" } = options;
  const today = new Date().toISOString().slice(0, 10).replaceAll("-", "");
  if (memory === undefined) throw new UsageError("--memory is missing, such as --memory 512MiB");
  return {
    name: matching("--name", options.name, NAME_PATTERN),
    version: matching("--version", options.version ?? today, VERSION_PATTERN),
    architecture,
    boot: boot === "uefi" ? { kind: boot } : { kind: boot, commandLine },
    seed,
    login: matching("--login", options.login, SETTINGS.login.pattern),
    memoryMiBMin: memory,
    readiness: {
      consoleSeconds: options.readinessConsole,
      sshSeconds: options.readinessSsh,
      settledSeconds: options.readinessSettled,
    },
    packages: {},
  };
}

/** The value of an option. Throws `UsageError` when it is missing or not of the pattern. */
export function matching(option: string, value: string | undefined, pattern: string): string {
  if (value === undefined) throw new UsageError(`${option} is missing`);
  if (new RegExp(pattern).test(value)) return value;
  throw new UsageError(`${option} must match ${pattern}`);
}

function choice<T extends string>(
  flags: string,
  says: string,
  all: readonly T[],
  byDefault: T,
): Option {
  return new Option(flags, says).choices(all).default(byDefault);
}

function hostArchitecture(): "x86_64" | "aarch64" {
  return arch() === "arm64" ? "aarch64" : "x86_64";
}

/** What cannot be is a wrong command line. */
export function explainRefusal(error: unknown): never {
  if (error instanceof ExchangeRefused) throw new UsageError(error.message, { cause: error });
  throw error;
}
