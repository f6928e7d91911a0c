import { readFileSync } from "node:fs";
import { errorDocument, explainError } from "./exit-code.ts";
import { asksForJson } from "./json-asked.ts";
import { commandLine } from "./program.ts";

/**
 * The front door: picks a command, and turns whatever it throws into an exit status and words on standard error. `early`
 * has the signals until the command has begun; one that came by then ends it here. Never throws.
 */
export async function enter(
  args: readonly string[],
  early: { readonly signal: AbortSignal } & Disposable,
): Promise<void> {
  let isJsonAsked = false;
  const fail = (error: unknown) => {
    const { exitCode, words } = explainError(error);
    process.exitCode = exitCode;
    if (words !== "") process.stderr.write(`${words}\n`);
    // Whoever asked for JSON reads standard output alone, and gets one object of it in any case.
    const document = errorDocument(error);
    if (isJsonAsked && document !== undefined)
      process.stdout.write(`${JSON.stringify(document)}\n`);
  };
  // Without a listener a closed terminal or pipe ends the process, in the middle of whatever it does, as if the job had failed.
  process.stdout.on("error", () => undefined);
  process.stderr.on("error", () => undefined);
  process.on("uncaughtException", (error) => {
    fail(error);
    process.exit();
  });
  try {
    const { version } = JSON.parse(
      readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
    ) as { version: string };
    const program = await commandLine(args, version);
    isJsonAsked = asksForJson(program, args);
    early.signal.throwIfAborted();
    const running = program.parseAsync(args, { from: "user" });
    // A command that has listeners of its own has them by now: there is no moment without any.
    early[Symbol.dispose]();
    await running;
  } catch (error) {
    fail(error);
  }
}
