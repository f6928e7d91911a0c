import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Command } from "commander";
import { BrokenError, EXIT_CODES, UsageError } from "#cli/exit-code.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import { quoted } from "#host/doctor/finding.ts";
import { type Publication, publishCatalogue } from "#host/images/catalogue/publish.ts";
import { CatalogueRefused } from "#host/images/catalogue/refused.ts";

const HELP_AFTER = `
FOLDER holds catalogue.yaml and the files that it names, all of them below FOLDER. Each is
read whole; their lengths and SHA-256, the images' digests, the next version and the expiry
go into FOLDER/catalogue.json. Published versions never change: another image is another
version. When nothing changed, nothing is written, unless --renew asks for a new expiry.

testbed holds no secret key: the document is signed with minisign (Debian package minisign),
by the command that is printed. The first time make a key with 'minisign -G'; hosts are told
its public half. Serve FOLDER over HTTPS, or name it as a path.

Examples:
  $ testbed image sign /srv/images
  $ testbed image sign /srv/images --renew --key /root/images.key
`;

type Options = { readonly renew?: boolean; readonly key?: string; readonly json?: boolean };

/** `testbed image sign`. */
export function imageSignCommand(): Command {
  return new Command("sign")
    .summary("make a catalogue of images ready to be signed")
    .description("Makes catalogue.json from a folder's catalogue.yaml, ready to be signed.")
    .argument("<folder>", "the catalogue's folder")
    .option("--renew", "a new version with a new expiry, though nothing changed")
    .option("--key <file>", "secret key for the printed command (default: minisign's own)")
    .option("--json", "print one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action((folder: string, options: Options) => sign(resolve(folder), options));
}

async function sign(folder: string, { renew = false, key, json }: Options): Promise<void> {
  const tell = (line: string) => process.stderr.write(`${line}\n`);
  using cancel = cancelOnSignals(
    () => tell("stopping"),
    () => process.exit(EXIT_CODES.cancelled),
  );
  const publication = await publishCatalogue(folder, {
    renew,
    nowMs: Date.now(),
    onProgress: tell,
    signal: cancel.signal,
  }).catch(explain);
  const commands = commandsFor(publication, key === undefined ? undefined : resolve(key));
  await printAnswer(
    json
      ? `${JSON.stringify(summary(publication, commands), null, 2)}\n`
      : words(publication, commands),
  );
}

type Commands = { readonly sign: readonly string[]; readonly verify: readonly string[] };

function commandsFor({ path, document }: Publication, key: string | undefined): Commands {
  const { name, version, expires } = document;
  const files = ["-x", `${path}.minisig`, "-m", path];
  const comment = `catalogue ${name}, version ${version}, expires ${expires}`;
  const secret = key === undefined ? [] : ["-s", key];
  return {
    sign: ["minisign", "-S", ...secret, ...files, "-t", comment],
    verify: ["minisign", "-V", "-p", publicHalfOf(key), ...files],
  };
}

/** Where it lies when both were made as `images.key` and `images.pub`; else what minisign calls it when nobody says how. */
function publicHalfOf(key: string | undefined): string {
  const beside = key?.replace(/\.key$/, ".pub");
  return beside !== undefined && beside !== key && existsSync(beside) ? beside : "minisign.pub";
}

function summary({ path, document, isWritten, changes }: Publication, commands: Commands) {
  const { name, version, expires } = document;
  return { path, name, version, expires, written: isWritten, changes, ...commands };
}

function words(publication: Publication, { sign, verify }: Commands): string {
  const { path, document, isWritten, changes } = publication;
  const { name, version, expires, images } = document;
  const count = `${images.length} ${images.length === 1 ? "image" : "images"}`;
  const what = isWritten
    ? [...changes, `wrote ${path}`]
    : ["nothing changed, nothing written; --renew writes a new expiry"];
  return `${[
    `catalogue ${name}, version ${version}: ${count}, expires ${expires}`,
    ...what.map((line) => `  ${line}`),
    isWritten ? "sign it:" : "sign it, unless it is signed:",
    `  ${sign.map(quoted).join(" ")}`,
    "check it as hosts do, with your public key:",
    `  ${verify.map(quoted).join(" ")}`,
  ].join("\n")}\n`;
}

/** What is wrong in the folder is the command line's mistake: nothing was written. */
function explain(error: unknown): never {
  if (error instanceof CatalogueRefused) throw new UsageError(error.message, { cause: error });
  const { code, path, message } = error as NodeJS.ErrnoException;
  if (code !== undefined && path !== undefined)
    throw new BrokenError(`cannot write ${path}: ${message}`, { cause: error });
  throw error;
}
