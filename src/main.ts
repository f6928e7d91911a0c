import { readFileSync } from "node:fs";
import { errorDocument, explainError } from "#cli/exit-code.ts";
import { commandLine } from "#cli/program.ts";

/** The front door: picks a command, and turns whatever it throws into an exit status and words on standard error. */
const { version } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8"),
) as { version: string };

// Without a listener a closed terminal or pipe ends the process, in the middle of whatever it does, as if the job had failed.
process.stdout.on("error", () => undefined);
process.stderr.on("error", () => undefined);
process.on("uncaughtException", (error) => {
  fail(error);
  process.exit();
});

try {
  const args = process.argv.slice(2);
  const program = await commandLine(args, version);
  await program.parseAsync(args, { from: "user" });
} catch (error) {
  fail(error);
}

function fail(error: unknown): void {
  const { exitCode, words } = explainError(error);
  process.exitCode = exitCode;
  if (words !== "") process.stderr.write(`${words}\n`);
  // Whoever asked for JSON reads standard output alone, and gets one object of it in any case.
  if (exitCode !== 0 && process.argv.includes("--json"))
    process.stdout.write(`${JSON.stringify({ error: errorDocument(error, exitCode) })}\n`);
}
