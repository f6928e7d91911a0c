/**
 * Bytes of a guest made harmless for a terminal, as a stream: what comes out is text whose only control characters are
 * newline and tab. Escape sequences lose their ESC (shown as ␛) and stay readable; carriage returns become newlines, so
 * that nothing written is overwritten; C1 controls and invisible formatting characters (bidirectional overrides among
 * them) are shown as `\u{…}`; what is not UTF-8 as U+FFFD. Characters may be split across pieces.
 */
export class TerminalText {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  /** A carriage return was seen and may be the first half of CR LF. */
  #isAfterReturn = false;

  /** The harmless text of the next bytes; a character that is not complete yet waits for the rest of it. */
  push(bytes: Uint8Array): string {
    return this.#harmless(this.#decoder.decode(bytes, { stream: true }));
  }

  /** What was still waiting. The stream is over. */
  end(): string {
    const rest = this.#harmless(this.#decoder.decode());
    return this.#isAfterReturn ? `${rest}\n` : rest;
  }

  #harmless(text: string): string {
    const whole = this.#isAfterReturn ? `\r${text}` : text;
    this.#isAfterReturn = whole.endsWith("\r");
    return whole
      .replace(/\r+$/, "")
      .replace(/\r*\n|\r+/g, "\n")
      .replace(UNSAFE, visible);
  }
}

const UNSAFE = /[^\P{Cc}\n\t]|[\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** A picture of a control character where Unicode has one (U+2400 and on), else its number. */
function visible(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return code === 0x7f ? "␡" : `\\u{${code.toString(16)}}`;
}
