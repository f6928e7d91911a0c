import type { Config } from "#config/config.ts";
import { PlainScreen } from "#host/narration/plain-screen.ts";
import type { Screen } from "#host/narration/screen.ts";
import { TerminalOutput } from "#lib/terminal-output.ts";
import { LiveScreen } from "./live-screen.ts";

/**
 * The screen for this process: live when standard error is a terminal and the guest's output belongs there too, else
 * plain lines. The guest's output goes to standard output, but to standard error when `hasAnswer`: a command that prints
 * an answer for machines keeps standard output for it.
 */
export function openScreen(
  config: Pick<Config, "hasColor" | "canMoveCursor">,
  hasAnswer: boolean,
): { readonly screen: Screen; readonly output: TerminalOutput } {
  const { stdout, stderr } = process;
  const output = new TerminalOutput();
  const isOneTerminal = stderr.isTTY && (stdout.isTTY || hasAnswer);
  const options = {
    output,
    guestFd: isOneTerminal || hasAnswer ? 2 : 1,
    hasColor: config.hasColor && stderr.isTTY,
  } as const;
  const screen =
    isOneTerminal && config.canMoveCursor
      ? new LiveScreen(options, () => stderr.columns)
      : new PlainScreen(options);
  return { screen, output };
}
