import { printable } from "#lib/printable.ts";
import { SpawnError } from "#lib/spawn.ts";
import { compileSchema } from "#lib/validate.ts";
import { runConfined } from "./confined.ts";
import type { Inspection } from "./qcow2-header.ts";

type Format = "qcow2" | "raw";

/** What a question to QEMU is about: an open file, and the signal that ends it. */
type Question = { readonly fd: number; readonly signal: AbortSignal };

/** The confined program's standard input. Its folder is no place where another file could be named. */
const JUDGED = "/proc/self/fd/0";
/** Its CPU is limited to 60 s; the rest is for a disk that is busy with something else. */
const TIMEOUT_MS = 300_000;
/** Of `qemu-img check` (qemu-img(1)): damage, and clusters that nothing refers to. */
const CHECK_EXIT = { corrupt: 2, leaks: 3 };

/**
 * What `qemu-img info` may answer about a file that is one image and nothing else. Whatever it would say of backing
 * files, data files, encryption, snapshots and bitmaps stands in members that are not here. Children were added by QEMU
 * 8.1: the file itself, as `file`.
 */
const INFO = {
  type: "object",
  additionalProperties: false,
  required: ["format", "virtual-size"],
  properties: {
    filename: { const: JUDGED },
    format: { enum: ["qcow2", "raw"] },
    "virtual-size": { type: "integer" },
    "actual-size": { type: "integer" },
    "cluster-size": { type: "integer" },
    "dirty-flag": { const: false },
    children: {
      type: "array",
      maxItems: 1,
      items: {
        type: "object",
        required: ["name", "info"],
        properties: {
          name: { const: "file" },
          info: {
            type: "object",
            required: ["filename", "format", "children"],
            properties: {
              filename: { const: JUDGED },
              format: { const: "file" },
              children: { type: "array", maxItems: 0 },
            },
          },
        },
      },
    },
    "format-specific": {
      type: "object",
      additionalProperties: false,
      required: ["type", "data"],
      properties: {
        type: { enum: ["qcow2", "file"] },
        data: {
          type: "object",
          additionalProperties: false,
          properties: {
            compat: { enum: ["0.10", "1.1"] },
            "compression-type": { enum: ["zlib", "zstd"] },
            "lazy-refcounts": { type: "boolean" },
            "refcount-bits": { type: "integer" },
            corrupt: { const: false },
            "extended-l2": { type: "boolean" },
          },
        },
      },
    },
  },
} as const;

const violations = compileSchema(INFO);

type Argv = readonly [string, ...string[]];

/** The command line that asks what a file is. It carries the format: QEMU never guesses one. */
function infoArgv(format: Format): Argv {
  return ["qemu-img", "info", "--output=json", "-f", format, "--", JUDGED];
}

/** The command line that follows all tables of an image, and reads no cluster of its data: nothing is unpacked. */
const CHECK_ARGV: Argv = ["qemu-img", "check", "--output=json", "-f", "qcow2", "--", JUDGED];

/** What QEMU, confined, says that a file is. Throws what `runConfined` throws when QEMU was not asked. */
export async function askInfo(format: Format, { fd, signal }: Question): Promise<Inspection> {
  const options = { inputFd: fd, timeoutMs: TIMEOUT_MS, signal };
  try {
    return readInfo(format, await runConfined(infoArgv(format), options));
  } catch (error) {
    return refusalOf(error);
  }
}

/** Judges what `qemu-img info --output=json` printed about a file of this format. */
export function readInfo(format: Format, text: string): Inspection {
  let info: unknown;
  try {
    info = JSON.parse(text);
  } catch {
    return { refused: "is described by qemu-img in no words that are known here" };
  }
  const [violation] = violations(info);
  if (violation !== undefined)
    return {
      refused: `is more to qemu-img than a plain image: ${printable(JSON.stringify(violation))}`,
    };
  const { format: found, "virtual-size": virtualBytes } = info as {
    format: Format;
    "virtual-size": number;
  };
  if (found !== format) return { refused: `is ${found} to qemu-img, not ${format}` };
  return { virtualBytes };
}

/**
 * Has QEMU, confined, follow the tables of a qcow2 file: why the file is refused, if it is. Costs one read of all tables,
 * 0.1 % of the file: a file that was cut off, or whose clusters lie outside it or in each other, is told here and not by
 * a guest whose disk fails. Clusters that nothing refers to are no reason: they are wasted, and harmless.
 */
export async function checkTables({ fd, signal }: Question): Promise<string | undefined> {
  try {
    await runConfined(CHECK_ARGV, { inputFd: fd, timeoutMs: TIMEOUT_MS, signal });
    return undefined;
  } catch (error) {
    if (!(error instanceof SpawnError)) throw error;
    if (error.exitCode === CHECK_EXIT.leaks) return undefined;
    if (error.exitCode === CHECK_EXIT.corrupt)
      return "has tables that are damaged: qemu-img check finds clusters outside it, or in each other";
    return refusalOf(error).refused;
  }
}

/** A program that was run confined and failed, or was ended by its limits, has refused the file. */
function refusalOf(error: unknown): { refused: string } {
  if (!(error instanceof SpawnError)) throw error;
  const said = error.stderrTail.trimEnd().split("\n").at(-1) ?? "";
  return { refused: `is not taken by qemu-img: ${printable(said || error.message)}` };
}
