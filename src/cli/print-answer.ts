import { once } from "node:events";

/** Standard output took nothing more: a full disk behind it. */
export class OutputError extends Error {
  override readonly name = "OutputError";
}

/**
 * Writes a command's answer to standard output and waits until it is out. A reader that leaves early (`| head`) is no
 * error; anything else throws `OutputError`.
 */
export async function printAnswer(text: string): Promise<void> {
  const { stdout } = process;
  const gone = once(stdout, "error").then(([error]: unknown[]) => error);
  const written = new Promise<undefined>((resolve) => {
    stdout.write(text, (error) => {
      if (error == null) resolve(undefined);
    });
  });
  const error = await Promise.race([written, gone]);
  if (error !== undefined && (error as NodeJS.ErrnoException).code !== "EPIPE") {
    throw new OutputError(`standard output: ${(error as Error).message}`, { cause: error });
  }
}
